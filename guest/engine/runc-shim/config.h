/* Adds the translator's mounts, variables and hook to a container's config.json (OCI runtime specification, config.md). */
#ifndef ROSETTA_VM_CONFIG_H
#define ROSETTA_VM_CONFIG_H

#include "../../freestanding/text.h"

/*
 * Writes the edited configuration into `output` and answers its length; 0 when nothing is to be changed, when something
 * is not as expected, or when it does not fit. `edits` is the agent's file (guest/engine/edits.ts), `hook` an entry of
 * `poststop` or empty. What the container has itself at the same mount point or under the same name stays as it is.
 */
size_t edit_config(struct text config, struct text edits, struct text hook, char *output, size_t size);

/* True when a hook's argv[0] is `command`. */
int is_hook(struct text hook, const char *command);

#endif
