// The part of Security.framework and CoreFoundation that the addon uses, for the type check on Linux: never part of a
// build. From SecTask.h, CFBase.h, CFString.h and CFNumber.h.
#pragma once
#import <Foundation/Foundation.h>

#define RVM_BRIDGED(type) __attribute__((objc_bridge(type)))
typedef const void *CFTypeRef;
typedef const struct RVM_BRIDGED(NSString) __CFString *CFStringRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct RVM_BRIDGED(NSNumber) __CFBoolean *CFBooleanRef;
typedef struct RVM_BRIDGED(NSError) __CFError *CFErrorRef;
typedef struct RVM_BRIDGED(id) __SecTask *SecTaskRef;

extern "C" {
extern const CFBooleanRef kCFBooleanTrue;
void CFRelease(CFTypeRef _Nonnull object);
bool CFEqual(CFTypeRef _Nonnull first, CFTypeRef _Nonnull second);
SecTaskRef _Nullable SecTaskCreateFromSelf(CFAllocatorRef _Nullable allocator);
CFTypeRef _Nullable SecTaskCopyValueForEntitlement(SecTaskRef _Nonnull task, CFStringRef _Nonnull entitlement,
                                                   CFErrorRef _Nullable *_Nullable error);
}
#define CFSTR(text) ((__bridge CFStringRef)@text)
