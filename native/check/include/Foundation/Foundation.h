// GNUstep's Foundation, and what it lacks of macOS's, for the type check on Linux: never part of a build.
#pragma once
#include_next <Foundation/Foundation.h>
#include <Availability.h>

#ifndef NS_NOESCAPE
#define NS_NOESCAPE __attribute__((noescape))
#endif

// NSProcessInfo.h. Under a name of its own, since a later GNUstep may have it.
#define NSOperatingSystemVersion RVMCheckOperatingSystemVersion
typedef struct {
  NSInteger majorVersion;
  NSInteger minorVersion;
  NSInteger patchVersion;
} NSOperatingSystemVersion;

@interface NSProcessInfo (RVMCheck)
@property(readonly) NSOperatingSystemVersion operatingSystemVersion;
@end

@interface NSURL (RVMCheck)
+ (nullable instancetype)URLWithString:(nonnull NSString *)URLString
             encodingInvalidCharacters:(BOOL)encodingInvalidCharacters API_AVAILABLE(macos(14.0));
@end
