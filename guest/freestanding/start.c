/* What a C library's crt1.o and string.o would bring: the entry point, and what the compiler calls by itself. */
#include "start.h"

/* The initial stack: argc, argv, NULL, envp, NULL, auxiliary vector (System V ABI of both architectures). */
#if defined(__aarch64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  bl start_on_stack\n");
#else
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call start_on_stack\n");
#endif

__attribute__((used)) static _Noreturn void start_on_stack(long *stack) {
  struct process self = {.argc = (int)stack[0], .argv = (char **)(stack + 1)};
  self.envp = self.argv + self.argc + 1;
  char **end = self.envp;
  while (*end != NULL) end += 1;
  self.env_count = (size_t)(end - self.envp);
  self.auxiliary = (const unsigned long *)(end + 1);
  end_process(start(&self));
}

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
  for (size_t i = 0; i < length; i += 1) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t length) {
  for (size_t i = 0; i < length; i += 1) ((char *)to)[i] = (char)value;
  return to;
}
