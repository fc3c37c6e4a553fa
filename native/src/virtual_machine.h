// One VZVirtualMachine with its queue, its delegates and its channel.
#pragma once
#import <Virtualization/Virtualization.h>
#include <memory>

#include "configuration.h"
#include "core.h"
#include "event_channel.h"

/**
 * Owns a virtual machine. The framework asserts its queue: the machine and all of its devices are touched on this
 * object's own serial queue alone, and completion handlers and delegates come there. Never wait for that queue from it.
 */
@interface RVMVirtualMachine : NSObject <VZVirtualMachineDelegate>
- (instancetype)initWithParts:(rosetta_vm::MachineParts)parts
                      channel:(std::shared_ptr<rosetta_vm::EventChannel>)channel;

/// Makes the machine on the queue and waits for that. Once, right after init. Throws rosetta_vm::Failure.
- (void)make;

/// See rosetta_vm::Machine.
- (void)perform:(const rosetta_vm::Request &)request;
- (void)close;
@end
