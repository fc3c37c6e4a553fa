/*
 * Stands before runc on dockerd's PATH, so in front of `docker run` and of BuildKit: gives containers of x86_64 programs
 * what the translator needs, then becomes the OCI runtime, or waits for it. It also removes what the translator left
 * (scratch.h), and is dockerd's hook of each container's network (network-key.h). It asks nobody, so it works while the
 * agent does not; and whatever is odd leaves the container as it was, which then runs as well as it can without.
 */
#include "../../freestanding/linux.h"
#include "../../freestanding/start.h"
#include "../../freestanding/text.h"
#include "bundle.h"
#include "config.h"
#include "network-key.h"
#include "scratch.h"

/* Written by the agent (guest/engine/edits.ts); unit tests choose other paths. */
#ifndef EDITS_FILE
#define EDITS_FILE "/run/rosetta-vm/engine/edits"
#endif
#ifndef CRUN
/*
 * The runtime, where Debian's package has it. It takes runc's command line, and is C where runc is Go. Measured under
 * emulation, interleaved, medians of five: a build of four steps 11.6 s against 15.9 s, `docker run … true` 3.2 s
 * against 4.6 s.
 */
#define CRUN "/usr/bin/crun"
#endif
#ifndef RUNC
/* The runtime of a guest without crun, such as a root of the user's own. */
#define RUNC "/usr/sbin/runc"
#endif

static const char CONFIG[] = "config.json";
static const char TEMPORARY[] = "config.json.rosetta-vm";

enum {
  MAX_EDITS_BYTES = 16 * 1024,
  /* Docker's are about 20 KiB, most of it seccomp rules; a container with thousands of mounts has more. */
  MAX_CONFIG_BYTES = 4 * 1024 * 1024,
  STATUS_CANNOT_START = 126,
};

static char edits[MAX_EDITS_BYTES];
static char config[MAX_CONFIG_BYTES];
static char hook[MAX_EDITS_BYTES];
static char with_hook[MAX_CONFIG_BYTES + MAX_EDITS_BYTES];
static char edited[MAX_CONFIG_BYTES + 4 * MAX_EDITS_BYTES];

/* A file's bytes; of length 0 when it is not there, empty, or larger than the buffer. */
static struct text read_whole(int folder, const char *path, char *buffer, size_t size) {
  struct text bytes = {buffer, 0};
  int file = open_at(folder, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return bytes;
  while (bytes.length < size) {
    long length = read_at(file, buffer + bytes.length, size - bytes.length, (int64_t)bytes.length);
    if (length <= 0) break;
    bytes.length += (size_t)length;
  }
  close_file(file);
  if (bytes.length == size) bytes.length = 0;
  return bytes;
}

/*
 * To another name, then renamed. Not synced: a bundle does not outlive the kernel that runs it. The mode is that of
 * a file that may hold secrets, in the environment of the program.
 */
static void replace_config(int bundle, struct text text) {
  int file = open_at(bundle, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return;
  long written = 0;
  while (text.length > 0 && (written = write_file(file, text.at, text.length)) > 0) {
    text.at += written;
    text.length -= (size_t)written;
  }
  close_file(file);
  int renamed = -1;
  if (text.length == 0) {
    renamed = (int)syscall6(SYS_renameat2, bundle, (long)TEMPORARY, bundle, (long)CONFIG, 0, 0);
  }
  if (renamed < 0) syscall6(SYS_unlinkat, bundle, (long)TEMPORARY, 0, 0, 0, 0);
}

/* Answers what has to be removed when the container has ended and nobody else does it; empty when there is nothing. */
static struct text adapt(const char *path, int stays) {
  struct text at_end = {hook, 0};
  int bundle = open_file(path, O_RDONLY);
  if (bundle < 0) return at_end;
  struct text wanted = read_whole(AT_FDCWD, EDITS_FILE, edits, sizeof edits);
  struct text given = read_whole(bundle, CONFIG, config, sizeof config);
  struct text changed = {with_hook, take_network_key_hook(given, with_hook, sizeof with_hook)};
  if (changed.length > 0) given = changed;
  if (wanted.length > 0 && given.length > 0 && is_x86_64_bundle(bundle, given)) {
    at_end.length = write_scratch_hook(bundle, given, wanted, hook, sizeof hook);
    struct text none = {hook, 0};
    size_t length = edit_config(given, wanted, stays ? none : at_end, edited, sizeof edited);
    if (length > 0) changed = (struct text){edited, length};
  }
  if (changed.length > 0) replace_config(bundle, changed);
  close_file(bundle);
  return stays ? at_end : (struct text){hook, 0};
}

/* Returns only when there is no runtime. */
static int become_runtime(const struct process *self) {
  execute(CRUN, self->argv, self->envp);
  return execute(RUNC, self->argv, self->envp);
}

/* In a child that does not outlive this process, as whoever kills this one means the runtime. */
static int run_and_remove(const struct process *self, struct text at_end) {
  int child = fork_process();
  if (child > 0) {
    int status = wait_for(child);
    remove_scratch_of(at_end);
    end_process(status);
  }
  if (child == 0) syscall6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
  return become_runtime(self);
}

int start(const struct process *self) {
  if (self->argc > 0 && is_text(text_of(self->argv[0]), SCRATCH_COMMAND)) {
    remove_scratch(self->argc, self->argv);
    return 0;
  }
  if (self->argc > 0 && is_text(text_of(self->argv[0]), NETWORK_KEY_COMMAND)) return send_network_key(self);
  const char *bundle = bundle_of(self);
  struct text at_end = {hook, 0};
  if (bundle != NULL) at_end = adapt(bundle, runs_to_end(self));
  if (at_end.length > 0) run_and_remove(self, at_end);
  else become_runtime(self);
  static const char message[] = "rosetta-vm: neither " CRUN " nor " RUNC " can be started.\n";
  write_file(STDERR, message, sizeof message - 1);
  return STATUS_CANNOT_START;
}
