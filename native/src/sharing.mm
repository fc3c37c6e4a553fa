#include "sharing.h"
#include "objc_failure.h"
#include "paths.h"
#include "rosetta.h"

namespace rosetta_vm {

namespace {

VZVirtioFileSystemDeviceConfiguration *deviceOf(NSString *tag, VZDirectoryShare *share, const std::string &subject) {
  NSError *error = nil;
  if (![VZVirtioFileSystemDeviceConfiguration validateTag:tag error:&error]) throw failureOf(error, subject);
  VZVirtioFileSystemDeviceConfiguration *device = [[VZVirtioFileSystemDeviceConfiguration alloc] initWithTag:tag];
  device.share = share;
  return device;
}

VZDirectoryShare *directoryShare(Fields &share) {
  NSURL *url = existingDirectory(share.text(@"path"), share.path());
  VZSharedDirectory *directory = [[VZSharedDirectory alloc] initWithURL:url readOnly:share.flag(@"readOnly")];
  return [[VZSingleDirectoryShare alloc] initWithDirectory:directory];
}

} // namespace

NSArray<VZDirectorySharingDeviceConfiguration *> *makeShares(Fields &configuration) {
  NSMutableArray<VZDirectorySharingDeviceConfiguration *> *devices = [NSMutableArray array];
  configuration.list(@"shares", [&](Fields &share, NSUInteger) {
    withFailures(share.path(), [&] {
      [devices addObject:deviceOf(share.text(@"tag"), directoryShare(share), share.path())];
    });
  });
  if (configuration.isNull(@"rosetta")) return devices;
  Fields rosetta = configuration.object(@"rosetta");
  withFailures(rosetta.path(), [&] {
    [devices addObject:deviceOf(rosetta.text(@"tag"), makeRosettaShare(rosetta), rosetta.path())];
  });
  rosetta.done();
  return devices;
}

} // namespace rosetta_vm
