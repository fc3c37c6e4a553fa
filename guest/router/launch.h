/* How a translator is started: arguments and environment as each of them wants them. */
#ifndef ROSETTA_VM_LAUNCH_H
#define ROSETTA_VM_LAUNCH_H

#include "../freestanding/start.h"
#include "table.h"

/* One exec that came to the router. */
struct call {
  /* The router's own path, as programs see it. */
  const char *router;
  const struct process *self;
  /* Else box64 started it. */
  int from_kernel;
  /* AT_SECURE: the program runs with more rights than who started it, whose settings must not count. */
  int secure;
  /* The program, and the argv[0] that it is to see. */
  const char *path;
  const char *argv0;
  char **arguments;
  size_t argument_count;
  /* AT_EXECFD while it is open, else -1. */
  int program_file;
  /* Nonzero: `path` names a copy, so argv0 must always be told. */
  int copied;
  char path_of_copy[32];
};

/* Value of a variable by `NAME=`, or NULL. */
const char *environment_value(const struct process *self, const char *name);

/* Writes decimal digits and a NUL. */
void write_number(char *at, unsigned number);

/* Makes the call's path name a copy in memory of a program that may be executed but not read. */
void use_copy(struct call *call);

/* Each returns only when the exec failed. With an open `file` that is executed in place of the translator's own. */
void launch(const struct call *call, const struct table *table, struct choice choice, int file);
/* Has the kernel start the program, which comes back to the router with the right credentials and an open file. */
void launch_through_kernel(const struct call *call);
/* Hands options to the first translator as they are. */
void launch_options(const struct call *call, const struct table *table);

#endif
