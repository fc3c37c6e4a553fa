// The Objective-C runtime's types under Apple's names, for the type check on Linux: GNUstep's headers bring the rest,
// and GCC's own objc.h does not go with ARC. Never part of a build.
#pragma once
#include <stddef.h>

// Apple's objc.h, OBJC_BOOL_IS_BOOL: bool on arm64, signed char on x86_64.
#if defined(__arm64__)
typedef bool BOOL;
#else
typedef signed char BOOL;
#endif
#define YES __objc_yes
#define NO __objc_no
#define nil nullptr
#define Nil nullptr

typedef const struct objc_selector *SEL;
typedef id (*IMP)(id, SEL, ...);
typedef struct objc_method *Method;
typedef struct objc_ivar *Ivar;
typedef struct objc_property *objc_property_t;
