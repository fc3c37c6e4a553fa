#include "rosetta.h"
#include "core.h"
#include "event_channel.h"
#include "lines.h"
#include "objc_failure.h"

#include <Availability.h>

// A program of an older SDK has no cache for Rosetta on any macOS (lima-vm/lima#2753).
#if !defined(__MAC_14_0)
#error "Build with the SDK of macOS 14 or later (Xcode 15)."
#endif

namespace rosetta_vm {

#if defined(__arm64__)

namespace {

API_AVAILABLE(macos(14.0))
VZLinuxRosettaCachingOptions *cachingOptions(Fields &caching) {
  NSString *kind = caching.text(@"kind");
  VZLinuxRosettaCachingOptions *options = nil;
  NSError *error = nil;
  if ([kind isEqualToString:@"unix"]) {
    // A path in the guest: nothing of it is looked for here.
    options = [[VZLinuxRosettaUnixSocketCachingOptions alloc] initWithPath:caching.text(@"path") error:&error];
  } else if ([kind isEqualToString:@"abstract"]) {
    options = [[VZLinuxRosettaAbstractSocketCachingOptions alloc] initWithName:caching.text(@"name") error:&error];
  } else {
    throw Failure(AddonFailure::invalid, "There is no such kind of caching.", toText(kind), caching.path());
  }
  if (options == nil) throw failureOf(error, caching.path());
  caching.done();
  return options;
}

const char *nameOf(VZLinuxRosettaAvailability availability) {
  switch (availability) {
  case VZLinuxRosettaAvailabilityInstalled:
    return "installed";
  case VZLinuxRosettaAvailabilityNotInstalled:
    return "notInstalled";
  case VZLinuxRosettaAvailabilityNotSupported:
    return "notSupported";
  }
  return "notSupported";
}

} // namespace

VZDirectoryShare *makeRosettaShare(Fields &rosetta) {
  NSError *error = nil;
  VZLinuxRosettaDirectoryShare *share = [[VZLinuxRosettaDirectoryShare alloc] initWithError:&error];
  if (share == nil) throw failureOf(error, rosetta.path());
  if (rosetta.isNull(@"caching")) return share;
  Fields caching = rosetta.object(@"caching");
  if (@available(macOS 14.0, *)) {
    // Before the machine is made: setting it on a running one raises.
    share.options = cachingOptions(caching);
    return share;
  }
  throw needsMacOS("14", "Rosetta's cache", caching.path());
}

RosettaReport reportRosetta() {
  return withFailures("", [] {
    RosettaReport report;
    report.availability = nameOf(VZLinuxRosettaDirectoryShare.availability);
    NSError *error = nil;
    VZLinuxRosettaDirectoryShare *share = [[VZLinuxRosettaDirectoryShare alloc] initWithError:&error];
    report.share = share != nil;
    if (share == nil) report.error = failureOf(error);
    if (@available(macOS 14.0, *)) {
      report.maximumSocketPathBytes = VZLinuxRosettaUnixSocketCachingOptions.maximumPathLength;
      report.maximumSocketNameBytes = VZLinuxRosettaAbstractSocketCachingOptions.maximumNameLength;
    }
    return report;
  });
}

int installRosetta() {
  @autoreleasepool {
    return withFailures("", [] {
      const auto channel = std::make_shared<EventChannel>();
      // The handler comes on an arbitrary queue; it keeps the channel until then.
      [VZLinuxRosettaDirectoryShare installRosettaWithCompletionHandler:^(NSError *_Nullable error) {
        safely([&] {
          channel->post(error == nil ? replyLine(0) : replyLine(0, failureOf(error)));
          channel->close();
        });
      }];
      return channel->takeReader();
    });
  }
}

#else

VZDirectoryShare *makeRosettaShare(Fields &rosetta) { throw needsArm64("Rosetta for Linux", rosetta.path()); }

RosettaReport reportRosetta() { return {}; }

int installRosetta() { throw needsArm64("Rosetta for Linux"); }

#endif

} // namespace rosetta_vm
