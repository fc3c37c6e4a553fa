/*
 * What a translator leaves in the home of a container's user: Rosetta keeps a folder `.cache/rosetta` there, which would
 * become part of an image's layer. A mount over it would leave its mount point in the layer instead, and would stand in
 * the way of a `rm -rf ~/.cache`. So it is removed when the container has ended, while its root is there: by a hook where
 * runc does not wait for that, and by the shim itself where it does. BuildKit, which runs each step with `runc run
 * --keep`, unmounts the root before it deletes the container, so that a hook of the deletion would come too late.
 *
 * The folder that it was made in gets back the time that it had before, unless it was changed again since: else the layer
 * would be another one with each build. The folder itself is in the layer: overlayfs has copied it up.
 */
#ifndef ROSETTA_VM_SCRATCH_H
#define ROSETTA_VM_SCRATCH_H

#include "../../freestanding/start.h"
#include "../../freestanding/text.h"

/* argv[0] of the hook, which is this program. */
#define SCRATCH_COMMAND "rosetta-vm-scratch"

/*
 * Writes the hook for the lines `scratch <path below the home>` of the edits: an entry of `poststop` (OCI runtime
 * specification, config.md, "POSIX-platform Hooks"). It names only folders that are not there before the container
 * starts. Answers its length, or 0 when nothing has to be removed.
 */
size_t write_scratch_hook(int bundle, struct text config, struct text edits, char *buffer, size_t size);

/* Does what a hook that write_scratch_hook wrote would do. */
void remove_scratch_of(struct text hook);

/*
 * The hook: `rosetta-vm-scratch <root> <time> <folder and, behind it, its parents>`. The time is that of the folder which
 * has the last of the parents in it: `@<seconds> <nanoseconds>`, or `-` where there was none.
 */
void remove_scratch(int argc, char *const *argv);

#endif
