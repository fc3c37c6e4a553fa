#include "virtual_machine.h"
#include "connections.h"
#include "lines.h"
#include "objc_failure.h"

#include <optional>
#include <unistd.h>
#include <utility>

using namespace rosetta_vm;

namespace {

NSString *const kStateKey = @"state";
/// Its address tells this observation from a superclass's.
char kStateContext;

#if defined(__arm64__)
/// Asked before a save and before a restore: its error names the device, those of the calls themselves do not.
API_AVAILABLE(macos(14.0)) void requireSaveRestoreSupport(VZVirtualMachineConfiguration *configuration) {
  NSError *error = nil;
  if (![configuration validateSaveRestoreSupportWithError:&error]) throw failureOf(error);
}
#endif

} // namespace

@implementation RVMVirtualMachine {
  dispatch_queue_t _queue;
  std::shared_ptr<EventChannel> _channel;
  VZVirtualMachineConfiguration *_configuration;
  NSArray *_kept;
  // On the queue alone, from here on.
  VZVirtualMachine *_machine;
  // Held as long as there is a machine: App Nap may slow the timers and the I/O of a process without a window. It does
  // not keep an idle Mac awake, which is for its user to say.
  id<NSObject> _activity;
  Connections _connections;
  // A stop by us calls no guestDidStopVirtualMachine: (Code-Hex/vz#154). Should a macOS do so all the same, nobody is
  // told, unless the stop then fails because the guest was faster.
  BOOL _stopping;
  BOOL _stoppedMeanwhile;
}

- (instancetype)initWithParts:(MachineParts)parts channel:(std::shared_ptr<EventChannel>)channel {
  if ((self = [super init])) {
    _queue = dispatch_queue_create(toText(parts.label).c_str(), DISPATCH_QUEUE_SERIAL_WITH_AUTORELEASE_POOL);
    _channel = std::move(channel);
    _configuration = parts.configuration;
    _kept = parts.kept;
  }
  return self;
}

- (void)make {
  __block std::optional<Failure> failure;
  // The only wait for the queue: it is new, so nothing on it can be waiting for this thread.
  dispatch_sync(_queue, ^{
    try {
      withFailures("", [&] {
        self->_machine = [[VZVirtualMachine alloc] initWithConfiguration:self->_configuration queue:self->_queue];
        self->_machine.delegate = self;
        [self->_machine addObserver:self
                         forKeyPath:kStateKey
                            options:NSKeyValueObservingOptionNew
                            context:&kStateContext];
        self->_activity = [NSProcessInfo.processInfo
            beginActivityWithOptions:NSActivityUserInitiatedAllowingIdleSystemSleep
                              reason:@"A virtual machine runs"];
      });
    } catch (const Failure &thrown) {
      failure = thrown;
    }
  });
  if (failure) throw *failure;
}

- (void)perform:(const Request &)request {
  const Request copy = request;
  dispatch_async(_queue, ^{
    [self answer:copy.id
            with:^{
              if (self->_machine == nil)
                throw Failure(AddonFailure::absent, "The machine is closed.", "It was let go of.");
              [self carryOut:copy];
            }];
  });
}

- (void)close {
  dispatch_async(_queue, ^{
    safely([&] {
      if (self->_machine == nil) return;
      [self->_machine removeObserver:self forKeyPath:kStateKey];
      self->_machine.delegate = nil;
      self->_connections.releaseAll();
      [NSProcessInfo.processInfo endActivity:self->_activity];
      self->_activity = nil;
      self->_machine = nil;
      self->_configuration = nil;
      self->_kept = nil;
      self->_channel->close();
    });
  });
}

// The verbs, on the queue. The framework itself answers for a wrong state (VZErrorInvalidVirtualMachineState…).

- (void)carryOut:(const Request &)request {
  switch (request.verb) {
  case Verb::start:
    return [_machine startWithCompletionHandler:[self replyTo:request.id]];
  case Verb::pause:
    return [_machine pauseWithCompletionHandler:[self replyTo:request.id]];
  case Verb::resume:
    return [_machine resumeWithCompletionHandler:[self replyTo:request.id]];
  case Verb::requestStop:
    return [self requestStop:request.id];
  case Verb::stop:
    return [self stop:request.id];
  case Verb::connect:
    return [self connect:request.id port:static_cast<uint32_t>(std::get<double>(request.argument))];
  case Verb::release:
    _connections.release(static_cast<int64_t>(std::get<double>(request.argument)));
    return [self post:replyLine(request.id)];
  case Verb::save:
    return [self save:request.id path:toNSString(std::get<std::string>(request.argument))];
  case Verb::restore:
    return [self restore:request.id path:toNSString(std::get<std::string>(request.argument))];
  case Verb::balloon:
    return [self balloon:request.id bytes:static_cast<uint64_t>(std::get<double>(request.argument))];
  }
}

- (void)requestStop:(int64_t)requestId {
  NSError *error = nil;
  if (![_machine requestStopWithError:&error]) throw failureOf(error);
  [self post:replyLine(requestId)];
}

- (void)stop:(int64_t)requestId {
  _stopping = YES;
  _stoppedMeanwhile = NO;
  [_machine stopWithCompletionHandler:^(NSError *_Nullable error) {
    self->_stopping = NO;
    [self answer:requestId
            with:^{
              if (error != nil && self->_stoppedMeanwhile) [self post:stoppedLine(nullptr)];
              if (error != nil) throw failureOf(error);
              [self post:replyLine(requestId)];
            }];
  }];
}

- (void)connect:(int64_t)requestId port:(uint32_t)port {
  VZSocketDevice *device = _machine.socketDevices.firstObject;
  if (![device isKindOfClass:[VZVirtioSocketDevice class]])
    throw Failure(AddonFailure::absent, "The machine has no vsock device.", "The framework made none of its configuration.");
  [(VZVirtioSocketDevice *)device
        connectToPort:port
    completionHandler:^(VZVirtioSocketConnection *_Nullable connection, NSError *_Nullable error) {
      [self answer:requestId
              with:^{
                if (connection == nil) throw failureOf(error);
                [self handOver:connection for:requestId];
              }];
    }];
}

- (void)handOver:(VZVirtioSocketConnection *)connection for:(int64_t)requestId {
  if (_machine == nil) {
    [connection close];
    return;
  }
  const Connection added = _connections.add(connection);
  if (_channel->post(replyLine(requestId, added))) return;
  // Nobody will read the reply, so nobody will close the descriptor.
  ::close(added.fd);
  _connections.release(added.connection);
}

- (void)balloon:(int64_t)requestId bytes:(uint64_t)bytes {
  VZMemoryBalloonDevice *device = _machine.memoryBalloonDevices.firstObject;
  if (![device isKindOfClass:[VZVirtioTraditionalMemoryBalloonDevice class]])
    throw Failure(AddonFailure::absent, "The machine has no memory balloon.", "The framework made none of its configuration.");
  ((VZVirtioTraditionalMemoryBalloonDevice *)device).targetVirtualMachineMemorySize = bytes;
  [self post:replyLine(requestId)];
}

- (void)save:(int64_t)requestId path:(NSString *)path {
#if defined(__arm64__)
  if (@available(macOS 14.0, *)) {
    requireSaveRestoreSupport(_configuration);
    [_machine saveMachineStateToURL:[NSURL fileURLWithPath:path] completionHandler:[self replyTo:requestId]];
    return;
  }
  throw needsMacOS("14", "Saving a machine");
#else
  throw needsArm64("Saving a machine");
#endif
}

- (void)restore:(int64_t)requestId path:(NSString *)path {
#if defined(__arm64__)
  if (@available(macOS 14.0, *)) {
    requireSaveRestoreSupport(_configuration);
    [_machine restoreMachineStateFromURL:[NSURL fileURLWithPath:path] completionHandler:[self replyTo:requestId]];
    return;
  }
  throw needsMacOS("14", "Restoring a machine");
#else
  throw needsArm64("Restoring a machine");
#endif
}

// Answers

- (void)post:(const std::string &)line {
  _channel->post(line);
}

/// Runs `work`; what it throws is the reply to `requestId`.
- (void)answer:(int64_t)requestId with:(void(NS_NOESCAPE ^)(void))work {
  safely([&] {
    try {
      withFailures("", work);
    } catch (const Failure &failure) {
      [self post:replyLine(requestId, failure)];
    }
  });
}

- (void (^)(NSError *_Nullable))replyTo:(int64_t)requestId {
  return ^(NSError *_Nullable error) {
    [self answer:requestId
            with:^{
              if (error != nil) throw failureOf(error);
              [self post:replyLine(requestId)];
            }];
  };
}

// What the machine tells, on the queue

- (void)observeValueForKeyPath:(NSString *)keyPath
                      ofObject:(id)object
                        change:(NSDictionary *)change
                       context:(void *)context {
  if (context != &kStateContext) {
    [super observeValueForKeyPath:keyPath ofObject:object change:change context:context];
    return;
  }
  safely([&] {
    NSNumber *state = change[NSKeyValueChangeNewKey];
    const std::optional<std::string> line = stateLine(static_cast<long>(state.integerValue));
    if (line) [self post:*line];
  });
}

- (void)guestDidStopVirtualMachine:(VZVirtualMachine *)virtualMachine {
  if (_stopping) {
    _stoppedMeanwhile = YES;
    return;
  }
  safely([&] { [self post:stoppedLine(nullptr)]; });
}

- (void)virtualMachine:(VZVirtualMachine *)virtualMachine didStopWithError:(NSError *)error {
  safely([&] {
    const Failure failure = failureOf(error);
    [self post:stoppedLine(&failure)];
  });
}

- (void)virtualMachine:(VZVirtualMachine *)virtualMachine
                         networkDevice:(VZNetworkDevice *)networkDevice
    attachmentWasDisconnectedWithError:(NSError *)error {
  safely([&] { [self post:networkLine(failureOf(error))]; });
}
@end
