#include "launch.h"

/*
 * box64's own variable for argv[0]: it starts programs by path (src/core.c). The program's environment keeps it, so that
 * it reaches what the program starts, of which it is not true. A copy under our name tells such a value from a new one.
 */
static const char ARGV0_NAME[] = "BOX64_ARG0=";
static const char ARGV0_COPY_NAME[] = "ROSETTA_VM_ARGV0=";
/* Set with the variables that keep a program from the cache, so that what it starts can have them taken away again. */
static char WITHOUT_CACHE_MARK[] = "ROSETTA_VM_WITHOUT_CACHE=1";
/* Settings that a program with more rights than its caller must not take from the caller. */
static const char *const UNTRUSTED_PREFIXES[] = {"BOX64_", "QEMU_", "ROSETTA_VM_"};

enum { COPY_CHUNK_BYTES = 1 << 20 };

static struct text name_of(const char *assignment) {
  struct text text = text_of(assignment);
  return (struct text){assignment, index_of(text, '=')};
}

static int has_name(const char *assignment, struct text name) { return same_text(name_of(assignment), name); }

const char *environment_value(const struct process *self, const char *name) {
  for (size_t i = 0; i < self->env_count; i += 1) {
    if (begins_with(text_of(self->envp[i]), name)) return self->envp[i] + length_of(name);
  }
  return NULL;
}

/* The argv[0] that box64 was asked for beside the path; NULL when it was not, or when it does not say. */
static const char *told_argv0(const struct call *call) {
  const char *told = environment_value(call->self, ARGV0_NAME);
  const char *old = environment_value(call->self, ARGV0_COPY_NAME);
  if (told != NULL && old != NULL && same_text(text_of(told), text_of(old))) return NULL;
  return told;
}

void write_number(char *at, unsigned number) {
  char digits[10];
  size_t count = 0;
  do {
    digits[count] = (char)('0' + number % 10);
    count += 1;
    number /= 10;
  } while (number > 0);
  while (count > 0) {
    count -= 1;
    *at = digits[count];
    at += 1;
  }
  *at = '\0';
}

void use_copy(struct call *call) {
  int copy = (int)syscall6(SYS_memfd_create, (long)"program", 0, 0, 0, 0, 0);
  if (copy < 0) return;
  int64_t offset = 0;
  while (syscall6(SYS_sendfile, copy, call->program_file, (long)&offset, COPY_CHUNK_BYTES, 0, 0) > 0) {
  }
  close_file(call->program_file);
  call->program_file = -1;
  memcpy(call->path_of_copy, "/proc/self/fd/", 14);
  write_number(call->path_of_copy + 14, (unsigned)copy);
  call->path = call->path_of_copy;
  call->copied = 1;
}

/*
 * The value of a settled program is of this router's giving, to what started this one: it is not inherited. A settled
 * program gets it in place of the value that all get; another value is somebody's wish and stays.
 */
static int is_of_other_setting(const char *assignment, const struct table *table, int settled) {
  for (unsigned i = 0; i < table->variable_count; i += 1) {
    const struct variable *variable = &table->variables[i];
    if (variable->setting != SET_SETTLED) continue;
    if (same_text(text_of(assignment), text_of(variable->assignment))) return 1;
    for (unsigned k = 0; settled && k < table->variable_count; k += 1) {
      const struct variable *usual = &table->variables[k];
      if (usual->setting != SET_ALWAYS || usual->translator != variable->translator) continue;
      if (!has_name(usual->assignment, name_of(variable->assignment))) continue;
      if (same_text(text_of(assignment), text_of(usual->assignment))) return 1;
    }
  }
  return 0;
}

/* True for variables that are not passed on as they are. */
static int is_replaced(const char *assignment, const struct call *call, const struct table *table, struct choice choice) {
  struct text name = name_of(assignment);
  if (call->secure) {
    for (size_t i = 0; i < sizeof UNTRUSTED_PREFIXES / sizeof *UNTRUSTED_PREFIXES; i += 1) {
      if (begins_with(name, UNTRUSTED_PREFIXES[i])) return 1;
    }
  }
  if (has_name(WITHOUT_CACHE_MARK, name) || has_name(ARGV0_NAME, name) || has_name(ARGV0_COPY_NAME, name)) return 1;
  if (is_of_other_setting(assignment, table, choice.settled)) return 1;
  if (!choice.without_cache && environment_value(call->self, WITHOUT_CACHE_MARK) == NULL) return 0;
  for (unsigned i = 0; i < table->variable_count; i += 1) {
    const struct variable *variable = &table->variables[i];
    if (variable->setting == SET_WITHOUT_CACHE && has_name(variable->assignment, name)) return 1;
  }
  return 0;
}

static int is_set(char **envp, size_t count, struct text name) {
  for (size_t i = 0; i < count; i += 1) {
    if (has_name(envp[i], name)) return 1;
  }
  return 0;
}

/* Fills `envp`, which has room for all of the process's variables, the table's and four more. */
static void make_environment(const struct call *call, const struct table *table, struct choice choice,
                             char *const argv0[2], char **envp) {
  size_t count = 0;
  for (size_t i = 0; i < call->self->env_count; i += 1) {
    char *assignment = call->self->envp[i];
    if (is_replaced(assignment, call, table, choice)) continue;
    envp[count] = assignment;
    count += 1;
  }
  static const enum setting ORDER[] = {SET_WITHOUT_CACHE, SET_SETTLED, SET_ALWAYS};
  for (size_t step = 0; step < sizeof ORDER / sizeof *ORDER; step += 1) {
    if (ORDER[step] == SET_WITHOUT_CACHE && !choice.without_cache) continue;
    if (ORDER[step] == SET_SETTLED && !choice.settled) continue;
    for (unsigned i = 0; i < table->variable_count; i += 1) {
      const struct variable *variable = &table->variables[i];
      if (variable->translator != choice.translator || variable->setting != ORDER[step]) continue;
      /* Those of the first kind were taken out of the environment. */
      if (ORDER[step] != SET_WITHOUT_CACHE && is_set(envp, count, name_of(variable->assignment))) continue;
      envp[count] = (char *)variable->assignment;
      count += 1;
    }
  }
  if (choice.without_cache) {
    envp[count] = WITHOUT_CACHE_MARK;
    count += 1;
  }
  for (int i = 0; argv0[i] != NULL && i < 2; i += 1) {
    envp[count] = argv0[i];
    count += 1;
  }
  envp[count] = NULL;
}

/* A program's path must not look like an option to the translator; `buffer` has room for two bytes more than it. */
static char *plain_path(const char *path, char *buffer) {
  if (path[0] != '-') return (char *)path;
  memcpy(buffer, "./", 2);
  memcpy(buffer + 2, path, length_of(path) + 1);
  return buffer;
}

/* Writes `NAME=` and a value. */
static char *assign(char *buffer, const char *name, const char *value) {
  memcpy(buffer, name, length_of(name));
  memcpy(buffer + length_of(name), value, length_of(value) + 1);
  return buffer;
}

void launch(const struct call *call, const struct table *table, struct choice choice, int file) {
  const struct translator *translator = &table->translators[choice.translator];
  /* Room is made on the stack: what the kernel put there is at most a quarter of the limit (execve(2)). */
  char path_buffer[length_of(call->path) + 3];
  /* What the program is to see, where that is not the path. */
  const char *told = call->from_kernel ? call->argv0 : told_argv0(call);
  if (told != NULL && !call->copied && same_text(text_of(told), text_of(call->path))) told = NULL;
  size_t told_size = told == NULL ? 0 : length_of(told) + 1;
  char argv0_variable[sizeof ARGV0_NAME + told_size];
  char argv0_copy[sizeof ARGV0_COPY_NAME + told_size];
  char *argv0[2] = {NULL, NULL};
  char *envp[call->self->env_count + table->variable_count + 4];
  char *argv[call->argument_count + 5];
  size_t count = 0;
  char *path = plain_path(call->path, path_buffer);
  if (translator->calling == CALL_BOX64) {
    argv[count++] = (char *)call->router;
    if (told != NULL) {
      argv0[0] = assign(argv0_variable, ARGV0_NAME, told);
      argv0[1] = assign(argv0_copy, ARGV0_COPY_NAME, told);
    }
  } else {
    argv[count++] = (char *)translator->path;
  }
  if (translator->calling == CALL_QEMU) {
    argv[count++] = "-0";
    argv[count++] = (char *)(told == NULL ? call->argv0 : told);
  }
  argv[count++] = path;
  for (size_t i = 0; i < call->argument_count; i += 1) argv[count++] = call->arguments[i];
  argv[count] = NULL;
  make_environment(call, table, choice, argv0, envp);
  if (file >= 0) execute_file(file, argv, envp);
  else execute(translator->path, argv, envp);
}

void launch_through_kernel(const struct call *call) {
  const char *told = told_argv0(call);
  char *argv[call->argument_count + 2];
  argv[0] = (char *)(told == NULL ? call->argv0 : told);
  for (size_t i = 0; i <= call->argument_count; i += 1) argv[i + 1] = call->arguments[i];
  execute(call->path, argv, call->self->envp);
}

void launch_options(const struct call *call, const struct table *table) {
  execute(table->translators[0].path, call->self->argv, call->self->envp);
}
