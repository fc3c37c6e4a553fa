/* What an x86_64 program's ELF file says about what it needs. */
#ifndef ROSETTA_VM_PROGRAM_H
#define ROSETTA_VM_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { MAX_BUILD_ID_BYTES = 32 };

/* C library, as the program's dynamic loader tells it. */
enum program_libc { LIBC_GLIBC, LIBC_MUSL, LIBC_OTHER, LIBC_NONE };

struct program {
  enum program_libc libc;
  /* Level of the x86-64 psABI that it says it needs, 1 to 4; 1 when it does not say. */
  int isa_level;
  /*
   * Nonzero: a segment is aligned to more than a page, begins within such a unit, and has another segment below it there.
   * The kernel and glibc map it by pages; who maps whole units maps it over the other.
   */
  int shares_unit;
  uint8_t build_id[MAX_BUILD_ID_BYTES];
  /* 0: it has none. */
  size_t build_id_length;
};

/* Reads an open file; answers 0 when it is not an x86_64 ELF program that the kernel would take. */
int read_program(int file, struct program *program);

#endif
