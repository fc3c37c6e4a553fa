/* How often each translator was started, and why: a page that all processes share and the agent reads. */
#ifndef ROSETTA_VM_COUNTERS_H
#define ROSETTA_VM_COUNTERS_H

#include "table.h"

enum {
  COUNTER_BYTES = 4096,
  /* 64-bit counters of one translator, one a reason; room for two more reasons. */
  COUNTERS_PER_SLOT = 8,
};
_Static_assert((int)REASON_COUNT <= (int)COUNTERS_PER_SLOT, "a reason without a counter");
_Static_assert(MAX_TRANSLATORS * COUNTERS_PER_SLOT * 8 <= COUNTER_BYTES, "a translator without counters");

/* Counts one start; a page that is not there is no reason to stop. */
void count_exec(const char *path, unsigned slot, enum reason reason);

#endif
