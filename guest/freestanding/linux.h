/*
 * System calls without a C library, for programs that run before every x86_64 program: libc's own start would cost more
 * than their work. arm64 is what the guest runs; x86_64 is for the unit tests. Every call answers with the kernel's
 * value: negative is an error number (Documentation/arch/arm64, syscall(2)).
 */
#ifndef ROSETTA_VM_LINUX_H
#define ROSETTA_VM_LINUX_H

#include <stddef.h>
#include <stdint.h>

/* Numbers: include/uapi/asm-generic/unistd.h (arm64) and arch/x86/entry/syscalls/syscall_64.tbl. */
#if defined(__aarch64__)
enum {
  SYS_fgetxattr = 10,
  SYS_dup3 = 24,
  SYS_renameat2 = 276,
  SYS_unlinkat = 35,
  SYS_openat = 56,
  SYS_close = 57,
  SYS_pipe2 = 59,
  SYS_getdents64 = 61,
  SYS_read = 63,
  SYS_write = 64,
  SYS_pread64 = 67,
  SYS_sendfile = 71,
  SYS_readlinkat = 78,
  SYS_fstat = 80,
  SYS_fsync = 82,
  SYS_utimensat = 88,
  SYS_exit_group = 94,
  SYS_prctl = 167,
  SYS_getpid = 172,
  SYS_socket = 198,
  SYS_connect = 203,
  SYS_clone = 220,
  SYS_execve = 221,
  SYS_mmap = 222,
  SYS_wait4 = 260,
  SYS_memfd_create = 279,
  SYS_execveat = 281,
  SYS_statx = 291,
  SYS_openat2 = 437,
};

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
  return x0;
}

/* include/uapi/asm-generic/stat.h */
struct file_status {
  uint64_t device;
  uint64_t inode;
  uint32_t mode;
  uint32_t links;
  uint32_t uid;
  uint32_t gid;
  uint64_t special;
  uint64_t padding1;
  int64_t size;
  uint8_t rest[72];
};
#elif defined(__x86_64__)
enum {
  SYS_read = 0,
  SYS_write = 1,
  SYS_close = 3,
  SYS_fstat = 5,
  SYS_mmap = 9,
  SYS_pread64 = 17,
  SYS_getpid = 39,
  SYS_sendfile = 40,
  SYS_socket = 41,
  SYS_connect = 42,
  SYS_clone = 56,
  SYS_execve = 59,
  SYS_wait4 = 61,
  SYS_fsync = 74,
  SYS_prctl = 157,
  SYS_fgetxattr = 193,
  SYS_getdents64 = 217,
  SYS_exit_group = 231,
  SYS_openat = 257,
  SYS_unlinkat = 263,
  SYS_readlinkat = 267,
  SYS_utimensat = 280,
  SYS_dup3 = 292,
  SYS_pipe2 = 293,
  SYS_renameat2 = 316,
  SYS_memfd_create = 319,
  SYS_execveat = 322,
  SYS_statx = 332,
  SYS_openat2 = 437,
};

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory", "cc");
  return result;
}

/* arch/x86/include/uapi/asm/stat.h */
struct file_status {
  uint64_t device;
  uint64_t inode;
  uint64_t links;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t padding0;
  uint64_t special;
  int64_t size;
  uint8_t rest[88];
};
#else
#error "This program is for Linux on arm64; tests of it also run on x86_64."
#endif

/* Error numbers: include/uapi/asm-generic/errno-base.h. */
enum { ENOENT = 2, ENOEXEC = 8, EACCES = 13 };
/* include/uapi/linux/fcntl.h, include/uapi/asm-generic/fcntl.h; the same on both for these. */
enum { AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000, O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_EXCL = 0200, O_CLOEXEC = 02000000 };
/* arch/arm64/include/uapi/asm/fcntl.h, which differs from the others'. */
#if defined(__aarch64__)
enum { O_DIRECTORY = 040000, O_NOFOLLOW = 0100000 };
#else
enum { O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000 };
#endif
enum { AT_REMOVEDIR = 0x200 };
/* include/uapi/linux/openat2.h */
enum { RESOLVE_IN_ROOT = 0x10 };
/* include/uapi/linux/stat.h */
enum { S_IFMT = 0170000, S_IFREG = 0100000, S_ISUID = 04000, S_ISGID = 02000 };
/* include/uapi/linux/auxvec.h, include/uapi/linux/binfmts.h */
enum { AT_NULL = 0, AT_EXECFD = 2, AT_FLAGS = 8, AT_SECURE = 23, AT_FLAGS_PRESERVE_ARGV0 = 1 };
/* include/uapi/linux/prctl.h, include/uapi/asm-generic/signal.h; SIGCHLD is 17 on both. */
enum { PR_SET_PDEATHSIG = 1, SIGKILL = 9, SIGCHLD = 17 };
enum { STDIN = 0, STDERR = 2 };

static inline int open_at(int folder, const char *path, int flags, int mode) {
  return (int)syscall6(SYS_openat, folder, (long)path, flags, mode, 0, 0);
}
static inline int open_file(const char *path, int flags) { return open_at(AT_FDCWD, path, flags | O_CLOEXEC, 0); }

/* Opens a path as a process whose root is `root` would see it, symbolic links included (openat2(2)). */
static inline int open_in_root(int root, const char *path) {
  struct {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
  } how = {O_RDONLY | O_CLOEXEC, 0, RESOLVE_IN_ROOT};
  return (int)syscall6(SYS_openat2, root, (long)path, (long)&how, sizeof how, 0, 0);
}
static inline void close_file(int file) { syscall6(SYS_close, file, 0, 0, 0, 0, 0); }
static inline long read_at(int file, void *buffer, size_t length, int64_t offset) {
  return syscall6(SYS_pread64, file, (long)buffer, (long)length, offset, 0, 0);
}
static inline long read_file(int file, void *buffer, size_t length) {
  return syscall6(SYS_read, file, (long)buffer, (long)length, 0, 0, 0);
}
static inline long write_file(int file, const void *buffer, size_t length) {
  return syscall6(SYS_write, file, (long)buffer, (long)length, 0, 0, 0);
}
static inline int file_status(int file, struct file_status *status) {
  return (int)syscall6(SYS_fstat, file, (long)status, 0, 0, 0, 0);
}
/* Answers how many bytes of the target were written; without a NUL (readlinkat(2)). */
static inline long link_target(const char *path, char *buffer, size_t size) {
  return syscall6(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)size, 0, 0);
}
static inline int execute(const char *path, char *const *argv, char *const *envp) {
  return (int)syscall6(SYS_execve, (long)path, (long)argv, (long)envp, 0, 0, 0);
}
/* Executes an open file (execveat(2)). */
static inline int execute_file(int file, char *const *argv, char *const *envp) {
  return (int)syscall6(SYS_execveat, file, (long)"", (long)argv, (long)envp, AT_EMPTY_PATH, 0);
}
/* As fork(2): answers 0 in the child. Its flags and the order of the rest do not matter where nothing is shared. */
static inline int fork_process(void) { return (int)syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0); }
/* Answers the exit status of a child, or 128 and its signal, as a shell does (wait4(2)). */
static inline int wait_for(int child) {
  enum { EINTR = 4 };
  int status = 0;
  while (syscall6(SYS_wait4, child, (long)&status, 0, 0, 0, 0) == -EINTR) {
  }
  return (status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f);
}
static inline _Noreturn void end_process(int status) {
  for (;;) syscall6(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

#endif
