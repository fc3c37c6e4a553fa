/*
 * A translator of last resort, for roots in which the translators' folder is missing. The agent puts it behind the
 * router's own bytes (guest/translators/memory.ts), because the router is the one file that the kernel holds open in
 * every root (binfmt_misc's flag F).
 */
#ifndef ROSETTA_VM_EMBEDDED_H
#define ROSETTA_VM_EMBEDDED_H

/* Opens a copy in memory that can be executed; negative when there is none, or no /proc to find it by. */
int open_embedded(void);

#endif
