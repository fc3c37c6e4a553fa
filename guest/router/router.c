/*
 * What binfmt_misc starts for every x86_64 program (flags POCF): looks at the program, picks a translator by the agent's
 * table and becomes it. It never fails an exec that registering the first translator directly would do: a table that is
 * broken or cannot be read means the built-in one, and a translator that cannot be started means the next.
 *
 * It is started in two ways:
 * - By the kernel, with argv = router, path, argv[0] as it was given, arguments (flag P), and AT_FLAGS saying so.
 * - By box64, for the programs that its program starts, with argv = router, path, arguments. box64 takes its own path
 *   from argv[0] (src/core.c) and executes that (src/wrapped/wrappedlibc.c, my_execve); so it is told the router's.
 */
#include "../freestanding/linux.h"
#include "../freestanding/start.h"
#include "../freestanding/text.h"
#include "counters.h"
#include "embedded.h"
#include "launch.h"
#include "program.h"
#include "table.h"

/* Counterpart of RVM_DIR in guest/protocol.ts; unit tests choose another. */
#ifndef RVM_DIR
#define RVM_DIR "/dev/rvm"
#endif

static const char ROUTER[] = RVM_DIR "/router";
static const char TABLE[] = RVM_DIR "/table";
static const char COUNTERS[] = RVM_DIR "/counters";

/* Without the BOX64_SYSINFO variables box64 runs lscpu, an x86_64 program where the root is one, and so on without end. */
static char built_in_table[] =
    "rosetta-vm-router 1\n"
    "translator box64 0 box64 glibc 3 " RVM_DIR "/box64\n"
    "translator qemu 1 qemu any 3 " RVM_DIR "/qemu-x86_64\n"
    "env box64 BOX64_SYSINFO_CACHED=1\n"
    "env box64 BOX64_SYSINFO_NCPU=1\n"
    "env box64 BOX64_SYSINFO_CPUNAME=arm64\n"
    "env box64 BOX64_SYSINFO_FREQUENCY=2000000000\n"
    "env box64 BOX64_LOG=0\n"
    "env box64 BOX64_NOBANNER=1\n"
    "env box64 BOX64_PREFER_EMULATED=1\n"
    "end\n";

/* Exit statuses of a program that could not be started: sh(1p). */
enum { STATUS_CANNOT_START = 126, STATUS_USAGE = 2 };

static struct table table;
static char table_bytes[MAX_TABLE_BYTES];

static void load_table(void) {
  int file = open_file(TABLE, O_RDONLY);
  long length = file < 0 ? file : read_at(file, table_bytes, sizeof table_bytes, 0);
  if (file >= 0) close_file(file);
  if (length > 0 && parse_table(table_bytes, (size_t)length, &table)) return;
  parse_table(built_in_table, sizeof built_in_table - 1, &table);
}

static void say(const char *path, const char *what) {
  write_file(STDERR, "rosetta-vm: ", 12);
  write_file(STDERR, path, length_of(path));
  write_file(STDERR, what, length_of(what));
}

static int read_call(const struct process *self, struct call *call) {
  unsigned long flags = 0;
  unsigned long secure = 0;
  unsigned long file = 0;
  auxiliary_value(self, AT_FLAGS, &flags);
  auxiliary_value(self, AT_SECURE, &secure);
  *call = (struct call){.router = ROUTER, .self = self, .secure = secure != 0, .program_file = -1};
  call->from_kernel = (flags & AT_FLAGS_PRESERVE_ARGV0) != 0;
  int taken = call->from_kernel ? 3 : 2;
  if (self->argc < taken) return 0;
  call->path = self->argv[1];
  call->argv0 = self->argv[taken - 1];
  call->arguments = self->argv + taken;
  call->argument_count = (size_t)(self->argc - taken);
  if (auxiliary_value(self, AT_EXECFD, &file)) call->program_file = (int)file;
  return 1;
}

/* What only the kernel can do, given a program that box64 wants to start: credentials, and a file that we cannot read. */
static int needs_kernel(int file) {
  struct file_status status;
  if (file < 0 || file_status(file, &status) < 0 || (status.mode & (S_ISUID | S_ISGID)) != 0) return 1;
  return syscall6(SYS_fgetxattr, file, (long)"security.capability", 0, 0, 0, 0) > 0;
}

/* Path of an open file in this root, for the deny list; the path as given when the kernel does not tell. */
static struct text canonical_path(int file, const char *given, char *buffer, size_t size) {
  char link[] = "/proc/self/fd/##########";
  write_number(link + 14, (unsigned)file);
  long length = syscall6(SYS_readlinkat, AT_FDCWD, (long)link, (long)buffer, (long)size, 0, 0);
  return length <= 0 ? text_of(given) : (struct text){buffer, (size_t)length};
}

/*
 * box64 writes a program's whole entry again at each end of one that translated anything, which some always do; for a
 * short program that costs more than all the rest. So the first two starts write, and from then on one in four: enough
 * to keep what other ways through the program add.
 */
static int is_settled(unsigned earlier_starts) { return earlier_starts >= 2 && earlier_starts % 4 != 0; }

static struct choice choose_for(const struct call *call, int file) {
  static char path[4096];
  struct program program;
  /* Not a program to us: the first translator says what is wrong with it. */
  if (!read_program(file, &program)) return (struct choice){0, REASON_DEFAULT, 0, 0};
  struct text canonical = text_of(call->path);
  if (table.denied_count > 0) canonical = canonical_path(file, call->path, path, sizeof path);
  const char *wanted = call->secure ? NULL : environment_value(call->self, "ROSETTA_VM_TRANSLATOR=");
  struct choice choice = choose(&table, &program, canonical, text_of(wanted == NULL ? "" : wanted));
  /* Starts that keep nothing anyway, as with the cache switched off, do not count. */
  if (choice.without_cache || !has_setting(&table, choice.translator, SET_SETTLED)) return choice;
  choice.settled = is_settled(count_program(COUNTERS, text_of(call->path), &program));
  return choice;
}

/* The one that is left where the translators' folder is missing: a root that nobody prepared. */
static void launch_embedded(const struct call *call) {
  int file = open_embedded();
  for (unsigned i = 0; file >= 0 && i < table.translator_count; i += 1) {
    if (table.translators[i].calling != CALL_QEMU) continue;
    launch(call, &table, (struct choice){i, REASON_FAILED, 0, 0}, file);
  }
}

int start(const struct process *self) {
  struct call call;
  if (!read_call(self, &call)) {
    say(ROUTER, ": usage: router PROGRAM [ARGUMENT]...; the kernel starts it for x86_64 programs.\n");
    return STATUS_USAGE;
  }
  load_table();
  /* box64 answers `uname -m` by starting itself with -m (src/wrapped/wrappedlibc.c). */
  if (!call.from_kernel && call.path[0] == '-') {
    launch_options(&call, &table);
    return STATUS_CANNOT_START;
  }
  int file = open_file(call.path, O_RDONLY);
  if (!call.from_kernel && needs_kernel(file)) launch_through_kernel(&call);
  if (file >= 0 && call.program_file >= 0) {
    /* Left open, it would be a stray descriptor of the program and of all that it starts. */
    close_file(call.program_file);
    call.program_file = -1;
  }
  struct choice choice = choose_for(&call, file >= 0 ? file : call.program_file);
  if (file < 0 && call.program_file >= 0) use_copy(&call);
  count_exec(COUNTERS, table.translators[choice.translator].slot, choice.reason);
  launch(&call, &table, choice, -1);
  for (unsigned i = 0; i < table.translator_count; i += 1) {
    if (i == choice.translator) continue;
    count_exec(COUNTERS, table.translators[i].slot, REASON_FAILED);
    launch(&call, &table, (struct choice){i, REASON_FAILED, choice.without_cache, 0}, -1);
  }
  launch_embedded(&call);
  say(call.path, ": none of the x86_64 translators can be started here; is " RVM_DIR " missing in this root?\n");
  return STATUS_CANNOT_START;
}
