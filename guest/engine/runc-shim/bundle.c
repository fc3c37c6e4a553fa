#include "bundle.h"

#include "json.h"

enum { MAX_PATH_BYTES = 4096 };
/* elf(5): offset of e_machine, and its values. */
enum { MACHINE_OFFSET = 18, EM_X86_64 = 62, ELF_PREFIX_BYTES = 20 };

enum machine { MACHINE_UNKNOWN, MACHINE_X86_64, MACHINE_OTHER };

const char *bundle_of(const struct process *self) {
  int makes_container = 0;
  const char *bundle = NULL;
  for (int i = 1; i < self->argc; i += 1) {
    struct text argument = text_of(self->argv[i]);
    if (is_text(argument, "create") || is_text(argument, "run")) makes_container = 1;
    if (!makes_container) continue;
    int takes_next = is_text(argument, "--bundle") || is_text(argument, "-b");
    if (takes_next && i + 1 < self->argc) bundle = self->argv[i + 1];
    if (begins_with(argument, "--bundle=")) bundle = self->argv[i] + length_of("--bundle=");
  }
  return makes_container && bundle == NULL ? "." : bundle;
}

int runs_to_end(const struct process *self) {
  int runs = 0;
  for (int i = 1; i < self->argc; i += 1) {
    struct text argument = text_of(self->argv[i]);
    if (is_text(argument, "run")) runs = 1;
    if (is_text(argument, "--detach") || is_text(argument, "-d")) return 0;
  }
  return runs;
}

static enum machine machine_of(int root, const char *path) {
  uint8_t bytes[ELF_PREFIX_BYTES];
  int file = open_in_root(root, path);
  if (file < 0) return MACHINE_UNKNOWN;
  long length = read_at(file, bytes, sizeof bytes, 0);
  close_file(file);
  if (length < ELF_PREFIX_BYTES || !begins_with((struct text){(const char *)bytes, 4}, "\x7f" "ELF")) {
    return MACHINE_UNKNOWN;
  }
  int is_x86_64 = bytes[MACHINE_OFFSET] == EM_X86_64 && bytes[MACHINE_OFFSET + 1] == 0;
  return is_x86_64 ? MACHINE_X86_64 : MACHINE_OTHER;
}

int open_root(int bundle, struct text config) {
  static char path[MAX_PATH_BYTES];
  struct text root = json_member(json_member(json_value(config), "root"), "path");
  if (!json_string(root, path, sizeof path)) return -1;
  return open_at(bundle, path, O_RDONLY | O_CLOEXEC, 0);
}

/* The first of these that is an ELF file tells. Most often the container's program does; a script does not. */
static enum machine machine_of_root(int root, struct text config) {
  static char program[MAX_PATH_BYTES];
  static const char *const others[] = {"/bin/sh", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"};
  struct json_items arguments;
  struct text none;
  struct text first;
  struct text args = json_member(json_member(json_value(config), "process"), "args");
  enum machine machine = MACHINE_UNKNOWN;
  if (json_open(args, '[', &arguments) && json_next(&arguments, &none, &first) &&
      json_string(first, program, sizeof program) && program[0] == '/') {
    machine = machine_of(root, program);
  }
  for (size_t i = 0; machine == MACHINE_UNKNOWN && i < sizeof others / sizeof *others; i += 1) {
    machine = machine_of(root, others[i]);
  }
  return machine;
}

int is_x86_64_bundle(int bundle, struct text config) {
  int root = open_root(bundle, config);
  if (root < 0) return 0;
  enum machine machine = machine_of_root(root, config);
  close_file(root);
  /* A root of one static program that is found on PATH says nothing; without the mounts it could not run. */
  return machine != MACHINE_OTHER;
}
