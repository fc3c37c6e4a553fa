// Disks: attachments and the buses that they sit on.
#pragma once
#import <Virtualization/Virtualization.h>
#include <functional>

#include "fields.h"

namespace rosetta_vm {

/// Told by a network block device of `disks[disk]`, on any thread: connected (error nil), or an error.
using DiskListener = std::function<void(NSUInteger disk, NSError *error)>;

struct Storage {
  NSArray<VZStorageDeviceConfiguration *> *devices;
  /// The attachments hold their delegates weakly: they live as long as this is kept.
  NSArray *delegates;
};

/// Of the list `disks`. Throws Failure.
Storage makeStorage(Fields &configuration, const DiskListener &listener);

} // namespace rosetta_vm
