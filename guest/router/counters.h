/*
 * A file that all processes share: how often each translator was started, and why, which the agent reads; and how often
 * each program was, which tells a program whose translations are likely all in the cache.
 */
#ifndef ROSETTA_VM_COUNTERS_H
#define ROSETTA_VM_COUNTERS_H

#include "program.h"
#include "table.h"

enum {
  COUNTER_BYTES = 4096,
  /* 64-bit counters of one translator, one a reason; room for one more reason. */
  COUNTERS_PER_SLOT = 8,
  /* The programs' counters follow on the next pages: a tag of 32 bits, never 0, and a number of 32 bits each. */
  PROGRAM_COUNTERS = 8192,
  PROGRAM_COUNTER_BYTES = PROGRAM_COUNTERS * 8,
};
_Static_assert((int)REASON_COUNT <= (int)COUNTERS_PER_SLOT, "a reason without a counter");
_Static_assert(MAX_TRANSLATORS * COUNTERS_PER_SLOT * 8 <= COUNTER_BYTES, "a translator without counters");

/* Counts one start; a page that is not there is no reason to stop. */
void count_exec(const char *path, unsigned slot, enum reason reason);

/* Counts a start of a program, and answers how many it had before: 0 also where nobody can count. */
unsigned count_program(const char *path, struct text program_path, const struct program *program);

#endif
