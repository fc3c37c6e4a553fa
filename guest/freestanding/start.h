/* What the kernel hands to a new process, and the function that a program defines to begin. */
#ifndef ROSETTA_VM_START_H
#define ROSETTA_VM_START_H

#include "linux.h"

struct process {
  int argc;
  char **argv;
  char **envp;
  size_t env_count;
  /* Pairs of a key and a value; AT_NULL ends them (getauxval(3)). */
  const unsigned long *auxiliary;
};

/* Of start.c, for the compiler and for copying. */
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);

/* Defined by the program; its value is the exit status. */
int start(const struct process *self);

/* Sets `value` and answers 1 when the kernel gave the key. */
static inline int auxiliary_value(const struct process *self, unsigned long key, unsigned long *value) {
  for (const unsigned long *pair = self->auxiliary; pair[0] != AT_NULL; pair += 2) {
    if (pair[0] != key) continue;
    *value = pair[1];
    return 1;
  }
  return 0;
}

#endif
