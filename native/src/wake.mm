#include "core.h"
#include "event_channel.h"
#include "lines.h"
#include "objc_failure.h"

#import <Foundation/Foundation.h>
#import <IOKit/IOMessage.h>
#import <IOKit/pwr_mgt/IOPMLib.h>
#import <dispatch/dispatch.h>
#include <unistd.h>
#include <utility>

using namespace rosetta_vm;

/// Tells a channel of each wake until its reader closes. Holds itself from begin to end; all of it is on its own queue.
@interface RVMWakeWatch : NSObject
- (instancetype)initWithChannel:(std::shared_ptr<EventChannel>)channel;
/// Throws rosetta_vm::Failure.
- (void)begin;
- (void)received:(uint32_t)message argument:(void *)argument;
@end

namespace {

void onPowerMessage(void *watch, io_service_t, uint32_t message, void *argument) {
  [(__bridge RVMWakeWatch *)watch received:message argument:argument];
}

} // namespace

@implementation RVMWakeWatch {
  std::shared_ptr<EventChannel> _channel;
  dispatch_queue_t _queue;
  dispatch_source_t _reader;
  io_connect_t _power;
  io_object_t _notifier;
  IONotificationPortRef _port;
}

- (instancetype)initWithChannel:(std::shared_ptr<EventChannel>)channel {
  if ((self = [super init])) {
    _channel = std::move(channel);
    _queue = dispatch_queue_create("dev.rosetta-vm.wake", DISPATCH_QUEUE_SERIAL_WITH_AUTORELEASE_POOL);
  }
  return self;
}

- (void)begin {
  const int fd = _channel->watchReader();
  _power = IORegisterForSystemPower((__bridge void *)self, &_port, onPowerMessage, &_notifier);
  if (_power == MACH_PORT_NULL) {
    ::close(fd);
    throw Failure(AddonFailure::absent, "macOS does not tell of sleep and wake.", "IORegisterForSystemPower gave none.");
  }
  IONotificationPortSetDispatchQueue(_port, _queue);
  _reader = dispatch_source_create(DISPATCH_SOURCE_TYPE_READ, static_cast<uintptr_t>(fd), 0, _queue);
  // The handlers hold this object until the cancel handler has run: the callback's pointer stays good.
  dispatch_source_set_event_handler(_reader, ^{
    // The reader never writes: readable means closed.
    dispatch_source_cancel(self->_reader);
  });
  dispatch_source_set_cancel_handler(_reader, ^{
    [self end];
    ::close(fd);
  });
  dispatch_resume(_reader);
}

- (void)end {
  IODeregisterForSystemPower(&_notifier);
  IOServiceClose(_power);
  IONotificationPortDestroy(_port);
  _channel->close();
  _reader = nil;
}

- (void)received:(uint32_t)message argument:(void *)argument {
  safely([&] {
    // Not allowing sleep would hold it up for 30 s (IOPMLib.h, IORegisterForSystemPower).
    if (message == kIOMessageCanSystemSleep || message == kIOMessageSystemWillSleep)
      IOAllowPowerChange(self->_power, (intptr_t)argument);
    if (message == kIOMessageSystemHasPoweredOn) self->_channel->post(wakeLine());
  });
}
@end

namespace rosetta_vm {

int watchWake() {
  @autoreleasepool {
    return withFailures("", [] {
      const auto channel = std::make_shared<EventChannel>();
      [[[RVMWakeWatch alloc] initWithChannel:channel] begin];
      return channel->takeReader();
    });
  }
}

} // namespace rosetta_vm
