// The messages of IOKit/IOMessage.h that the addon uses, for the type check on Linux: never part of a build.
// iokit_common_msg(n) is 0xe0000000 | n (sys_iokit, sub_iokit_common).
#pragma once
#include <stdint.h>

#define iokit_common_msg(message) ((uint32_t)(0xe0000000u | (message)))
#define kIOMessageCanSystemSleep iokit_common_msg(0x270)
#define kIOMessageSystemWillSleep iokit_common_msg(0x280)
#define kIOMessageSystemHasPoweredOn iokit_common_msg(0x300)
