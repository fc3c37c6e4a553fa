#include "scratch.h"

#include "../../freestanding/linux.h"
#include "bundle.h"
#include "json.h"
#include "writer.h"

enum { MAX_PATH_BYTES = 4096, MAX_PASSWD_BYTES = 256 * 1024, ENTRIES_BYTES = 32 * 1024, MAX_PASSES = 8 };

/* getdents64(2) */
struct directory_entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

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

static long link_target(const char *path, char *buffer, size_t size) {
  return syscall6(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)size, 0, 0);
}

/* Writes the folder and its parents below the home, as long as they are not there. Answers how many. */
static int write_missing(struct writer *to, int root, const char *home, struct text below) {
  char path[2 * MAX_PATH_BYTES];
  size_t home_length = length_of(home);
  size_t length = home_length + 1 + below.length;
  int count = 0;
  if (length >= sizeof path) return 0;
  memcpy(path, home, home_length);
  path[home_length] = '/';
  memcpy(path + home_length + 1, below.at, below.length);
  while (length > home_length) {
    path[length] = '\0';
    int folder = open_in_root(root, path);
    if (folder >= 0) close_file(folder);
    if (folder != -ENOENT) break;
    write_plain(to, ",");
    write_quoted(to, (struct text){path, length});
    count += 1;
    while (length > home_length && path[length - 1] != '/') length -= 1;
    length -= 1;
  }
  return count;
}

size_t write_scratch_hook(int bundle, struct text config, struct text edits, char *buffer, size_t size) {
  static char own_path[MAX_PATH_BYTES];
  static char root_path[MAX_PATH_BYTES];
  static char home[MAX_PATH_BYTES];
  char root_link[32] = "/proc/self/fd/";
  struct writer to = {buffer, size, 0};
  int count = 0;
  int root = open_root(bundle, config);
  if (root < 0) return 0;
  struct writer number = {root_link + length_of(root_link), 12, 0};
  for (int unit = 1000000000; unit > 0; unit /= 10) {
    char digit = (char)('0' + root / unit % 10);
    if (root >= unit || unit == 1) write_text(&number, (struct text){&digit, 1});
  }
  *number.at = '\0';
  long own_length = link_target("/proc/self/exe", own_path, sizeof own_path);
  long root_length = link_target(root_link, root_path, sizeof root_path);
  if (own_length > 0 && root_length > 0) {
    find_home(root, config, home);
    write_plain(&to, "{\"path\":");
    write_quoted(&to, (struct text){own_path, (size_t)own_length});
    write_plain(&to, ",\"args\":[\"" SCRATCH_COMMAND "\",");
    write_quoted(&to, (struct text){root_path, (size_t)root_length});
    while (edits.length > 0) {
      struct text line = take_until(&edits, '\n');
      if (is_text(take_until(&line, ' '), "scratch")) count += write_missing(&to, root, home, line);
    }
    write_plain(&to, "]}");
  }
  close_file(root);
  return count == 0 || to.full ? 0 : size - to.left;
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

/* A folder that became a link is left: what it leads to is not ours. */
static void remove_folder(int root, char *path, int with_files) {
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
  syscall6(SYS_unlinkat, parent, (long)name, AT_REMOVEDIR, 0, 0, 0);
  close_file(parent);
}

void remove_scratch_of(struct text hook) {
  static char path[2 * MAX_PATH_BYTES];
  struct json_items args;
  struct text none;
  struct text argument;
  int root = -1;
  if (!json_open(json_member(hook, "args"), '[', &args)) return;
  for (int i = 0; json_next(&args, &none, &argument) && json_string(argument, path, sizeof path); i += 1) {
    if (i == 1) root = open_file(path, O_RDONLY | O_DIRECTORY);
    if (i >= 1 && root < 0) return;
    if (i >= 2) remove_folder(root, path, i == 2);
  }
  if (root >= 0) close_file(root);
}

int remove_scratch(const struct process *self) {
  int root = self->argc < 3 ? -1 : open_file(self->argv[1], O_RDONLY | O_DIRECTORY);
  if (root < 0) return 0;
  for (int i = 2; i < self->argc; i += 1) remove_folder(root, self->argv[i], i == 2);
  close_file(root);
  return 0;
}
