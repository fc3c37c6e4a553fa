#include "scratch.h"

#include "../../freestanding/linux.h"
#include "bundle.h"
#include "json.h"
#include "writer.h"

enum {
  MAX_PATH_BYTES = 4096,
  MAX_PASSWD_BYTES = 256 * 1024,
  ENTRIES_BYTES = 32 * 1024,
  MAX_PASSES = 8,
  /* Command, root, time, and the few folders of a line of the edits. */
  MAX_ARGUMENTS = 16,
};

/* getdents64(2) */
struct directory_entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

/* include/uapi/linux/stat.h, statx(2) */
struct moment {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t padding;
};
struct extended_status {
  uint32_t mask;
  uint8_t of_no_interest[60];
  struct moment accessed;
  struct moment born;
  struct moment changed;
  struct moment modified;
  uint8_t rest[128];
};
_Static_assert(sizeof(struct extended_status) == 256, "statx(2) writes 256 bytes");
enum { STATX_MTIME = 0x40, STATX_BTIME = 0x800, AT_SYMLINK_NOFOLLOW = 0x100 };
/* utimensat(2) */
enum { UTIME_OMIT = 0x3ffffffe };
static const int64_t BILLION = 1000000000;
/*
 * A new folder and the change of the one that it is in are stamped one after the other, by a clock that goes on with each
 * tick: 4 ms in Debian's kernels, at most 10 (CONFIG_HZ).
 */
static const int64_t TICK_NANOSECONDS = 10000000;

/* Writes an absolute path without a slash at its end; "/" becomes nothing. Answers 0 when it is none or does not fit. */
static int take_path(struct text path, char *home) {
  while (path.length > 0 && path.at[path.length - 1] == '/') path.length -= 1;
  if (path.length >= MAX_PATH_BYTES || (path.length > 0 && path.at[0] != '/')) return 0;
  memcpy(home, path.at, path.length);
  home[path.length] = '\0';
  return 1;
}

/* passwd(5): the sixth field of the line with this user id in its third. */
static int find_in_passwd(int root, struct text user_id, char *home) {
  static char bytes[MAX_PASSWD_BYTES];
  int file = open_in_root(root, "/etc/passwd");
  if (file < 0) return 0;
  long length = read_at(file, bytes, sizeof bytes, 0);
  close_file(file);
  struct text rest = {bytes, length < 0 ? 0 : (size_t)length};
  while (rest.length > 0) {
    struct text line = take_until(&rest, '\n');
    take_until(&line, ':');
    take_until(&line, ':');
    if (!same_text(take_until(&line, ':'), user_id)) continue;
    take_until(&line, ':');
    take_until(&line, ':');
    return take_path(take_until(&line, ':'), home);
  }
  return 0;
}

/* As runc settles it: HOME where it is set and not empty, else the user's in the container's passwd, else "/". */
static void find_home(int root, struct text config, char *home) {
  static char variable[MAX_PATH_BYTES];
  struct text process = json_member(json_value(config), "process");
  struct json_items variables;
  struct text none;
  struct text item;
  int found = 0;
  if (json_open(json_member(process, "env"), '[', &variables)) {
    while (json_next(&variables, &none, &item)) {
      if (!json_string(item, variable, sizeof variable)) continue;
      struct text value = text_of(variable);
      if (begins_with(value, "HOME=") && value.length > 5) {
        found = take_path((struct text){value.at + 5, value.length - 5}, home);
      }
    }
  }
  struct text user_id = json_member(json_member(process, "user"), "uid");
  if (user_id.length == 0) user_id = text_of("0");
  if (!found && !find_in_passwd(root, user_id, home)) home[0] = '\0';
}

/* Answers 0 when one of the wanted times cannot be had, as from a file system that does not keep it. */
static int times_of(int folder, const char *name, uint32_t wanted, struct extended_status *times) {
  int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
  return syscall6(SYS_statx, folder, (long)name, flags, wanted, (long)times, 0) == 0 && (times->mask & wanted) == wanted;
}

static int64_t nanoseconds_between(struct moment from, struct moment to) {
  return (to.seconds - from.seconds) * BILLION + to.nanoseconds - from.nanoseconds;
}

static void set_modified(int folder, struct moment time) {
  /* struct timespec of both architectures */
  int64_t times[] = {0, UTIME_OMIT, time.seconds, time.nanoseconds};
  syscall6(SYS_utimensat, folder, 0, (long)times, 0, 0, 0);
}

static void write_digits(struct writer *to, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    at -= 1;
    digits[at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  write_text(to, (struct text){digits + at, sizeof digits - at});
}

/* As `@<seconds> <nanoseconds>`; the time of a folder that is not there is `-`. */
static void write_time(struct writer *to, int root, const char *path) {
  struct extended_status times;
  int folder = open_in_root(root, path);
  int known = folder >= 0 && times_of(folder, "", STATX_MTIME, &times) && times.modified.seconds >= 0;
  if (folder >= 0) close_file(folder);
  write_plain(to, known ? "\"@" : "\"-");
  if (known) {
    write_digits(to, (uint64_t)times.modified.seconds);
    write_plain(to, " ");
    write_digits(to, times.modified.nanoseconds);
  }
  write_plain(to, "\"");
}

static int64_t read_digits(struct text digits) {
  int64_t number = 0;
  for (size_t i = 0; i < digits.length; i += 1) number = number * 10 + (digits.at[i] - '0');
  return number;
}

/* What write_time wrote; answers 0 when that is no time. */
static int read_time(struct text text, struct moment *time) {
  if (!begins_with(text, "@")) return 0;
  text = (struct text){text.at + 1, text.length - 1};
  time->seconds = read_digits(take_until(&text, ' '));
  time->nanoseconds = (uint32_t)read_digits(text);
  return 1;
}

/* A folder's path below the home; empty when it is too long. `path` has room for twice MAX_PATH_BYTES. */
static size_t join_home(char *path, const char *home, struct text below) {
  size_t home_length = length_of(home);
  size_t length = home_length + 1 + below.length;
  if (length >= 2 * MAX_PATH_BYTES) return 0;
  memcpy(path, home, home_length);
  path[home_length] = '/';
  memcpy(path + home_length + 1, below.at, below.length);
  path[length] = '\0';
  return length;
}

/* Cuts a path to that of the folder which it is in. */
static size_t cut_name(char *path, size_t length) {
  while (length > 0 && path[length - 1] != '/') length -= 1;
  length -= length > 0;
  path[length] = '\0';
  return length;
}

/* Writes the arguments of the hook for one folder and its parents, as far as they are not there. Answers how many. */
static int write_missing(struct writer *to, int root, const char *home, struct text below) {
  static char path[2 * MAX_PATH_BYTES];
  size_t length = join_home(path, home, below);
  size_t count = 0;
  size_t missing[MAX_ARGUMENTS];
  while (length > length_of(home) && count < MAX_ARGUMENTS - 3) {
    int folder = open_in_root(root, path);
    if (folder >= 0) close_file(folder);
    if (folder != -ENOENT) break;
    missing[count] = length;
    count += 1;
    length = cut_name(path, length);
  }
  if (count == 0) return 0;
  write_plain(to, ",");
  write_time(to, root, length == 0 ? "/" : path);
  join_home(path, home, below);
  for (size_t i = 0; i < count; i += 1) {
    write_plain(to, ",");
    write_quoted(to, (struct text){path, missing[i]});
  }
  return 1;
}

size_t write_scratch_hook(int bundle, struct text config, struct text edits, char *buffer, size_t size) {
  static char own_path[MAX_PATH_BYTES];
  static char root_path[MAX_PATH_BYTES];
  static char home[MAX_PATH_BYTES];
  char root_link[32] = "/proc/self/fd/";
  struct writer to = {buffer, size, 0};
  int found = 0;
  int root = open_root(bundle, config);
  if (root < 0) return 0;
  struct writer number = {root_link + length_of(root_link), 12, 0};
  write_digits(&number, (uint64_t)root);
  *number.at = '\0';
  long own_length = link_target("/proc/self/exe", own_path, sizeof own_path);
  long root_length = link_target(root_link, root_path, sizeof root_path);
  if (own_length > 0 && root_length > 0) {
    find_home(root, config, home);
    write_plain(&to, "{\"path\":");
    write_quoted(&to, (struct text){own_path, (size_t)own_length});
    write_plain(&to, ",\"args\":[\"" SCRATCH_COMMAND "\",");
    write_quoted(&to, (struct text){root_path, (size_t)root_length});
    /* One folder: nothing that translates leaves two. */
    while (!found && edits.length > 0) {
      struct text line = take_until(&edits, '\n');
      if (is_text(take_until(&line, ' '), "scratch")) found = write_missing(&to, root, home, line);
    }
    write_plain(&to, "]}");
  }
  close_file(root);
  return !found || to.full ? 0 : size - to.left;
}

/* Removes files of a folder, and nothing below other folders. Answers how many. */
static int remove_files(int folder) {
  static char buffer[ENTRIES_BYTES];
  int removed = 0;
  long length;
  while ((length = syscall6(SYS_getdents64, folder, (long)buffer, sizeof buffer, 0, 0, 0)) > 0) {
    for (long at = 0; at < length;) {
      const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
      at += entry->length;
      if (syscall6(SYS_unlinkat, folder, (long)entry->name, 0, 0, 0, 0) == 0) removed += 1;
    }
  }
  return removed;
}

/*
 * A folder that became a link is left: what it leads to is not ours. `before` is the time of the folder that it is in, or
 * NULL where that one is new as well.
 */
static void remove_folder(int root, char *path, int with_files, const struct moment *before) {
  char *name = path + length_of(path);
  while (name > path && name[-1] != '/') name -= 1;
  if (name == path) return;
  name[-1] = '\0';
  int parent = open_in_root(root, name - 1 == path ? "/" : path);
  if (parent < 0) return;
  /* A pass over a folder that is changed meanwhile may miss some. */
  for (int pass = 0; with_files && pass < MAX_PASSES; pass += 1) {
    int folder = open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    int removed = folder < 0 ? 0 : remove_files(folder);
    if (folder >= 0) close_file(folder);
    if (removed == 0) break;
  }
  struct extended_status own;
  struct extended_status around;
  int timed = times_of(parent, name, STATX_BTIME, &own) && times_of(parent, "", STATX_MTIME, &around);
  int removed = syscall6(SYS_unlinkat, parent, (long)name, AT_REMOVEDIR, 0, 0, 0) == 0;
  if (removed && timed) {
    int64_t since = nanoseconds_between(own.born, around.modified);
    int is_ours = before != NULL && since >= 0 && since <= TICK_NANOSECONDS;
    set_modified(parent, is_ours ? *before : around.modified);
  }
  close_file(parent);
}

void remove_scratch_of(struct text hook) {
  static char bytes[4 * MAX_PATH_BYTES];
  char *argv[MAX_ARGUMENTS];
  int argc = 0;
  size_t used = 0;
  struct json_items args;
  struct text none;
  struct text argument;
  if (!json_open(json_member(hook, "args"), '[', &args)) return;
  while (argc < MAX_ARGUMENTS && json_next(&args, &none, &argument)) {
    if (!json_string(argument, bytes + used, sizeof bytes - used)) return;
    argv[argc] = bytes + used;
    argc += 1;
    used += length_of(bytes + used) + 1;
  }
  remove_scratch(argc, argv);
}

void remove_scratch(int argc, char *const *argv) {
  int root = argc < 4 ? -1 : open_file(argv[1], O_RDONLY | O_DIRECTORY);
  if (root < 0) return;
  struct moment before;
  int known = read_time(text_of(argv[2]), &before);
  for (int i = 3; i < argc; i += 1) remove_folder(root, argv[i], i == 3, known && i == argc - 1 ? &before : NULL);
  close_file(root);
}
