// VzConfiguration of host/drivers/vz/addon.ts as a VZVirtualMachineConfiguration.
#pragma once
#import <Virtualization/Virtualization.h>
#include <string>

#include "storage.h"

namespace rosetta_vm {

struct MachineParts {
  NSString *label;
  /// Validated: without the entitlement com.apple.security.virtualization no configuration is valid.
  VZVirtualMachineConfiguration *configuration;
  /// What the framework holds weakly, or not surely: delegates, and the owner of the console's descriptor.
  NSArray *kept;
};

/// `json`: VzConfiguration. Throws Failure.
MachineParts makeParts(const std::string &json, const DiskListener &listener);

} // namespace rosetta_vm
