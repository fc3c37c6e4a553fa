#include "launch.h"

/* box64's own variable for argv[0]: it starts programs by path (src/core.c). */
static const char ARGV0_NAME[] = "BOX64_ARG0=";
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

/* True for variables that are not passed on as they are. */
static int is_replaced(const char *assignment, const struct call *call, const struct table *table, int without_cache) {
  struct text name = name_of(assignment);
  if (call->secure) {
    for (size_t i = 0; i < sizeof UNTRUSTED_PREFIXES / sizeof *UNTRUSTED_PREFIXES; i += 1) {
      if (begins_with(name, UNTRUSTED_PREFIXES[i])) return 1;
    }
  }
  if (has_name(WITHOUT_CACHE_MARK, name)) return 1;
  /* From the kernel, argv[0] comes as an argument; what the variable says is about the program that set it. */
  if (call->from_kernel && has_name(ARGV0_NAME, name)) return 1;
  if (!without_cache && environment_value(call->self, WITHOUT_CACHE_MARK) == NULL) return 0;
  for (unsigned i = 0; i < table->variable_count; i += 1) {
    if (table->variables[i].without_cache && has_name(table->variables[i].assignment, name)) return 1;
  }
  return 0;
}

static int is_set(char **envp, size_t count, struct text name) {
  for (size_t i = 0; i < count; i += 1) {
    if (has_name(envp[i], name)) return 1;
  }
  return 0;
}

/* Fills `envp`, which has room for all of the process's variables, the table's and three more. */
static void make_environment(const struct call *call, const struct table *table, struct choice choice, char *argv0,
                             char **envp) {
  size_t count = 0;
  for (size_t i = 0; i < call->self->env_count; i += 1) {
    char *assignment = call->self->envp[i];
    if (is_replaced(assignment, call, table, choice.without_cache)) continue;
    envp[count] = assignment;
    count += 1;
  }
  for (int forced = 1; forced >= 0; forced -= 1) {
    for (unsigned i = 0; i < table->variable_count; i += 1) {
      const struct variable *variable = &table->variables[i];
      if (variable->translator != choice.translator || variable->without_cache != forced) continue;
      if (forced ? !choice.without_cache : is_set(envp, count, name_of(variable->assignment))) continue;
      envp[count] = (char *)variable->assignment;
      count += 1;
    }
  }
  if (choice.without_cache) {
    envp[count] = WITHOUT_CACHE_MARK;
    count += 1;
  }
  if (argv0 != NULL) {
    envp[count] = argv0;
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

void launch(const struct call *call, const struct table *table, struct choice choice) {
  const struct translator *translator = &table->translators[choice.translator];
  /* Room is made on the stack: what the kernel put there is at most a quarter of the limit (execve(2)). */
  char path_buffer[length_of(call->path) + 3];
  char argv0_variable[sizeof ARGV0_NAME + length_of(call->argv0)];
  char *envp[call->self->env_count + table->variable_count + 3];
  char *argv[call->argument_count + 5];
  size_t count = 0;
  char *path = plain_path(call->path, path_buffer);
  char *argv0 = NULL;
  if (translator->calling == CALL_BOX64) {
    if (call->from_kernel && (call->copied || !same_text(text_of(call->argv0), text_of(path)))) {
      memcpy(argv0_variable, ARGV0_NAME, sizeof ARGV0_NAME - 1);
      memcpy(argv0_variable + sizeof ARGV0_NAME - 1, call->argv0, length_of(call->argv0) + 1);
      argv0 = argv0_variable;
    }
    argv[count++] = (char *)call->router;
  } else {
    const char *told = call->from_kernel ? NULL : environment_value(call->self, ARGV0_NAME);
    argv[count++] = (char *)translator->path;
    argv[count++] = "-0";
    argv[count++] = (char *)(told == NULL ? call->argv0 : told);
  }
  argv[count++] = path;
  for (size_t i = 0; i < call->argument_count; i += 1) argv[count++] = call->arguments[i];
  argv[count] = NULL;
  make_environment(call, table, choice, argv0, envp);
  execute(translator->path, argv, envp);
}

void launch_through_kernel(const struct call *call) {
  const char *told = environment_value(call->self, ARGV0_NAME);
  char *argv[call->argument_count + 2];
  argv[0] = (char *)(told == NULL ? call->argv0 : told);
  for (size_t i = 0; i <= call->argument_count; i += 1) argv[i + 1] = call->arguments[i];
  execute(call->path, argv, call->self->envp);
}

void launch_options(const struct call *call, const struct table *table) {
  execute(table->translators[0].path, call->self->argv, call->self->envp);
}
