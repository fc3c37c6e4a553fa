#include "core.h"
#include "objc_failure.h"
#include "rosetta.h"

#import <Security/Security.h>
#import <Virtualization/Virtualization.h>
#include <sys/sysctl.h>

namespace rosetta_vm {

namespace {

#if defined(__arm64__)
constexpr const char *kArchitecture = "arm64";
#else
constexpr const char *kArchitecture = "x86_64";
#endif

/// Apple's sysctl.proc_translated: 1 in a process that Rosetta translates; unknown to Intel Macs.
bool isTranslated() {
  int translated = 0;
  size_t size = sizeof translated;
  return sysctlbyname("sysctl.proc_translated", &translated, &size, nullptr, 0) == 0 && translated == 1;
}

/// Entitlements are the main executable's; asking for them gives a clearer answer than a configuration that is invalid.
bool isEntitled() {
  SecTaskRef task = SecTaskCreateFromSelf(nullptr);
  if (task == nullptr) return false;
  CFTypeRef value = SecTaskCopyValueForEntitlement(task, CFSTR("com.apple.security.virtualization"), nullptr);
  const bool entitled = value != nullptr && CFEqual(value, kCFBooleanTrue);
  if (value != nullptr) CFRelease(value);
  CFRelease(task);
  return entitled;
}

std::string flag(bool value) { return value ? "true" : "false"; }

std::string limits(uint64_t minimum, uint64_t maximum) {
  return "{\"minimum\":" + std::to_string(minimum) + ",\"maximum\":" + std::to_string(maximum) + "}";
}

std::string macOSVersion() {
  const NSOperatingSystemVersion version = NSProcessInfo.processInfo.operatingSystemVersion;
  return "{\"major\":" + std::to_string(version.majorVersion) + ",\"minor\":" + std::to_string(version.minorVersion) +
         ",\"patch\":" + std::to_string(version.patchVersion) + "}";
}

/// What `ask` says, or `otherwise` when the framework raises.
template <typename Value, typename Ask> Value asked(Value otherwise, Ask ask) {
  try {
    return withFailures("", ask);
  } catch (const Failure &) {
    return otherwise;
  }
}

RosettaReport rosettaReport() {
  try {
    return reportRosetta();
  } catch (const Failure &failure) {
    RosettaReport report;
    report.error = failure;
    return report;
  }
}

std::string json(const RosettaReport &report) {
  return "{\"availability\":\"" + std::string(report.availability) + "\",\"share\":" + flag(report.share) +
         ",\"error\":" + (report.error ? report.error->json() : "null") +
         ",\"maximumSocketPathBytes\":" + std::to_string(report.maximumSocketPathBytes) +
         ",\"maximumSocketNameBytes\":" + std::to_string(report.maximumSocketNameBytes) + "}";
}

} // namespace

std::string hostReport() noexcept {
  @autoreleasepool {
    const std::string none = limits(0, 0);
    return "{\"macOS\":" + macOSVersion() + ",\"architecture\":\"" + kArchitecture +
           "\",\"translated\":" + flag(isTranslated()) +
           ",\"supported\":" + flag(asked(false, [] { return VZVirtualMachine.isSupported != NO; })) +
           ",\"entitled\":" + flag(isEntitled()) + ",\"cpus\":" + asked(none, [] {
             return limits(VZVirtualMachineConfiguration.minimumAllowedCPUCount,
                           VZVirtualMachineConfiguration.maximumAllowedCPUCount);
           }) +
           ",\"memory\":" + asked(none, [] {
             return limits(VZVirtualMachineConfiguration.minimumAllowedMemorySize,
                           VZVirtualMachineConfiguration.maximumAllowedMemorySize);
           }) +
           ",\"rosetta\":" + json(rosettaReport()) + "}";
  }
}

} // namespace rosetta_vm
