/*
 * The router's rules: a text file that the agent writes (guest/translators/router-table.ts says what each line means).
 * Lines with an unknown first word are left out, so that the format can grow; anything else that is odd makes the whole
 * table count as broken.
 */
#ifndef ROSETTA_VM_TABLE_H
#define ROSETTA_VM_TABLE_H

#include <stdint.h>

#include "../freestanding/text.h"
#include "program.h"

enum {
  /* Room for 256 rows of a path and a build-id each would be a megabyte; nobody writes such rows. */
  MAX_TABLE_BYTES = 128 * 1024,
  MAX_TRANSLATORS = 8,
  MAX_VARIABLES = 64,
  MAX_DENIED = 256,
};

/* How a translator is told the program's path and argv[0]. Plain: the path alone, which the program gets as argv[0] too. */
enum calling { CALL_BOX64, CALL_QEMU, CALL_PLAIN };

struct translator {
  struct text name;
  enum calling calling;
  /* Nonzero: only programs with glibc's loader. */
  int glibc_only;
  int isa_level;
  /* Row of the counters' page. */
  unsigned slot;
  /* Ended by NUL in the table's buffer. */
  const char *path;
};

/* In which programs a variable is set. */
enum setting {
  /* All, where it is absent. */
  SET_ALWAYS,
  /* Those that are kept from the cache, even over another value. */
  SET_WITHOUT_CACHE,
  /* Those whose translations are likely all in the cache: in place of the value that all get. */
  SET_SETTLED,
};

/* A variable that a translator's process must have. */
struct variable {
  unsigned translator;
  enum setting setting;
  /* `NAME=value`, ended by NUL. */
  const char *assignment;
};

struct denied {
  /* A translator's name, or `cache`. */
  struct text from;
  /* Either may be empty: then it does not count. */
  struct text path;
  struct text build_id;
};

struct table {
  struct translator translators[MAX_TRANSLATORS];
  unsigned translator_count;
  struct variable variables[MAX_VARIABLES];
  unsigned variable_count;
  struct denied denied[MAX_DENIED];
  unsigned denied_count;
};

/* Reads a table in place (line ends become NUL); answers 0 when it is broken. */
int parse_table(char *bytes, size_t length, struct table *table);

/* Why a translator was chosen; the order is that of CHOICE_REASONS in guest/translation-protocol.ts. */
enum reason {
  REASON_DEFAULT,
  REASON_LIBC,
  REASON_ISA,
  REASON_LAYOUT,
  REASON_DENY,
  REASON_ENVIRONMENT,
  REASON_FAILED,
  REASON_COUNT,
};

struct choice {
  unsigned translator;
  enum reason reason;
  int without_cache;
  int settled;
};

/* Whether a translator has a variable of this kind. */
int has_setting(const struct table *table, unsigned translator, enum setting setting);

/*
 * The first translator of the table that can run the program and is not denied to it; when none is left, the first of
 * all. `wanted` is a name that the environment asks for, or empty. `path` is the program's path in its root.
 */
struct choice choose(const struct table *table, const struct program *program, struct text path, struct text wanted);

#endif
