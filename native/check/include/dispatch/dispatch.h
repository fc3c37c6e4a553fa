// The part of libdispatch that the addon uses, for the type check on Linux: never part of a build. Types as in Apple's
// dispatch/object.h with OS_OBJECT_USE_OBJC, where a queue is an Objective-C object that ARC retains.
#pragma once
#import <Foundation/NSObject.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

@protocol OS_dispatch_object <NSObject>
@end
@protocol OS_dispatch_queue <OS_dispatch_object>
@end
@protocol OS_dispatch_queue_attr <OS_dispatch_object>
@end
@protocol OS_dispatch_source <OS_dispatch_object>
@end
typedef NSObject<OS_dispatch_object> *dispatch_object_t;
typedef NSObject<OS_dispatch_queue> *dispatch_queue_t;
typedef NSObject<OS_dispatch_queue_attr> *dispatch_queue_attr_t;
typedef NSObject<OS_dispatch_source> *dispatch_source_t;
typedef void (^dispatch_block_t)(void);
typedef const struct dispatch_source_type_s *dispatch_source_type_t;

extern "C" {
extern const struct dispatch_source_type_s _dispatch_source_type_read;
#define DISPATCH_SOURCE_TYPE_READ (&_dispatch_source_type_read)
extern dispatch_queue_attr_t rvm_check_serial_with_autorelease_pool;
#define DISPATCH_QUEUE_SERIAL_WITH_AUTORELEASE_POOL rvm_check_serial_with_autorelease_pool

dispatch_queue_t dispatch_queue_create(const char *_Nullable label, dispatch_queue_attr_t _Nullable attr);
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_sync(dispatch_queue_t queue, __attribute__((noescape)) dispatch_block_t block);
dispatch_source_t _Nullable dispatch_source_create(dispatch_source_type_t type, uintptr_t handle, uintptr_t mask,
                                                   dispatch_queue_t _Nullable queue);
void dispatch_source_set_event_handler(dispatch_source_t source, dispatch_block_t _Nullable handler);
void dispatch_source_set_cancel_handler(dispatch_source_t source, dispatch_block_t _Nullable handler);
void dispatch_source_cancel(dispatch_source_t source);
void dispatch_resume(dispatch_object_t object);
}

#pragma clang assume_nonnull end
