/*
 * dockerd learns the network namespace of a container, and of each build step, by a `prestart` hook that starts dockerd's
 * own program once more to write one line to a socket of the first (moby, libnetwork/sandbox_externalkey_unix.go). That
 * start of a Go program of 70 MB is a fifth of what `docker run` costs under emulation: 0.77 s of CPU of 3.9. So this
 * program becomes the hook and writes the same line; where it cannot, it becomes dockerd's.
 */
#ifndef ROSETTA_VM_NETWORK_KEY_H
#define ROSETTA_VM_NETWORK_KEY_H

#include "../../freestanding/start.h"
#include "../../freestanding/text.h"

/* argv[0] of the hook: dockerd's name for it. */
#define NETWORK_KEY_COMMAND "libnetwork-setkey"

/*
 * Writes a bundle's configuration with this program in the hook, and dockerd's as its last argument. Answers its length;
 * 0 when there is no such hook or it does not fit. Any container's: the hook runs outside of it.
 */
size_t take_network_key_hook(struct text config, char *output, size_t size);

/*
 * The hook: `libnetwork-setkey -exec-root=<folder> <container> <controller> <dockerd's program>`, with the container's
 * state as JSON on standard input (OCI runtime specification, runtime.md, "State"). Answers the exit status.
 */
int send_network_key(const struct process *self);

#endif
