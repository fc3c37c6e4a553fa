// What Availability.h of a current SDK says of itself, for the type check on Linux: never part of a build.
#pragma once
#define __MAC_14_0 140000
#define API_AVAILABLE(platform) __attribute__((availability(RVM_AVAILABLE_##platform)))
#define RVM_AVAILABLE_macos(version) macos, introduced = version
