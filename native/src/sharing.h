// Directories that the guest mounts by tag (virtiofs): the host's own, and Rosetta's.
#pragma once
#import <Virtualization/Virtualization.h>

#include "fields.h"

namespace rosetta_vm {

/// Of the list `shares` and of `rosetta`, in this order. Throws Failure.
NSArray<VZDirectorySharingDeviceConfiguration *> *makeShares(Fields &configuration);

} // namespace rosetta_vm
