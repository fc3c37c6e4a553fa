#include "counters.h"

#include "../freestanding/linux.h"

/* include/uapi/linux/mman.h, include/uapi/asm-generic/mman-common.h */
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1 };

/* Programs of the same remainder sit side by side; one that finds no room there is not counted. */
enum { PROBES = 16 };

struct program_counter {
  uint32_t tag;
  uint32_t starts;
};
_Static_assert(sizeof(struct program_counter) * PROGRAM_COUNTERS == PROGRAM_COUNTER_BYTES, "a counter is 8 bytes");

/* Answers NULL for a file that is not there or is too short: a page beyond its end would be a SIGBUS (mmap(2)). */
static void *map_shared(const char *path, long offset, size_t length) {
  int file = open_file(path, O_RDWR);
  if (file < 0) return NULL;
  struct file_status status;
  int whole = file_status(file, &status) == 0 && status.size >= offset + (long)length;
  long at = whole ? syscall6(SYS_mmap, 0, (long)length, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset) : -1;
  close_file(file);
  return at > 0 ? (void *)at : NULL;
}

void count_exec(const char *path, unsigned slot, enum reason reason) {
  uint64_t *page = map_shared(path, 0, COUNTER_BYTES);
  if (page != NULL) __atomic_fetch_add(page + slot * COUNTERS_PER_SLOT + reason, 1, __ATOMIC_RELAXED);
}

/* FNV-1a, 32 bits (RFC 9923). */
static uint32_t hash(uint32_t seed, const void *bytes, size_t length) {
  for (size_t i = 0; i < length; i += 1) seed = (seed ^ ((const uint8_t *)bytes)[i]) * 16777619u;
  return seed;
}

unsigned count_program(const char *path, struct text program_path, const struct program *program) {
  struct program_counter *counters = map_shared(path, COUNTER_BYTES, PROGRAM_COUNTER_BYTES);
  if (counters == NULL) return 0;
  uint32_t sum = hash(hash(2166136261u, program_path.at, program_path.length), program->build_id, program->build_id_length);
  uint32_t tag = sum == 0 ? 1 : sum;
  for (unsigned probe = 0; probe < PROBES; probe += 1) {
    struct program_counter *counter = counters + (sum + probe) % PROGRAM_COUNTERS;
    uint32_t found = 0;
    int taken = __atomic_compare_exchange_n(&counter->tag, &found, tag, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (taken || found == tag) return __atomic_fetch_add(&counter->starts, 1, __ATOMIC_RELAXED);
  }
  return 0;
}
