// sysctlbyname(3) of macOS, which glibc has not, for the type check on Linux: never part of a build.
#pragma once
#include <stddef.h>

extern "C" int sysctlbyname(const char *name, void *old, size_t *oldLength, void *value, size_t length);
