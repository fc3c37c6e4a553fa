/* A container's bundle, as runc is told of it (OCI runtime specification, bundle.md; runc-create(8), runc-run(8)). */
#ifndef ROSETTA_VM_BUNDLE_H
#define ROSETTA_VM_BUNDLE_H

#include "../../freestanding/start.h"
#include "../../freestanding/text.h"

/* The bundle's folder when a container is about to be made, else NULL. */
const char *bundle_of(const struct process *self);

/* True when runc stays until the container has ended: `run` without `--detach` (runc-run(8)). */
int runs_to_end(const struct process *self);

/* True when the container that `config` describes is one of x86_64 programs, or may be. */
int is_x86_64_bundle(int bundle, struct text config);

/* Opens the container's root folder; negative when it cannot be opened. */
int open_root(int bundle, struct text config);

#endif
