#include "config.h"

#include "json.h"

enum { MAX_PATH_BYTES = 4096 };

/* Bounded writing; once it does not fit, `full` stays set. */
struct writer {
  char *at;
  size_t left;
  int full;
};

static void write_text(struct writer *to, struct text text) {
  if (text.length > to->left) {
    to->full = 1;
    return;
  }
  for (size_t i = 0; i < text.length; i += 1) to->at[i] = text.at[i];
  to->at += text.length;
  to->left -= text.length;
}

static void write_plain(struct writer *to, const char *string) { write_text(to, text_of(string)); }

static void write_quoted(struct writer *to, struct text text) {
  write_plain(to, "\"");
  for (size_t i = 0; i < text.length; i += 1) {
    if (text.at[i] == '"' || text.at[i] == '\\') write_plain(to, "\\");
    write_text(to, (struct text){text.at + i, 1});
  }
  write_plain(to, "\"");
}

static struct text without_slashes(struct text path) {
  while (path.length > 1 && path.at[path.length - 1] == '/') path.length -= 1;
  return path;
}

static int has_mount(struct text mounts, struct text destination) {
  static char path[MAX_PATH_BYTES];
  struct json_items items;
  struct text none;
  struct text mount;
  if (!json_open(mounts, '[', &items)) return 0;
  while (json_next(&items, &none, &mount)) {
    if (!json_string(json_member(mount, "destination"), path, sizeof path)) continue;
    if (same_text(without_slashes(text_of(path)), destination)) return 1;
  }
  return 0;
}

static int has_variable(struct text variables, struct text assignment) {
  struct json_items items;
  struct text none;
  struct text variable;
  size_t with_sign = index_of(assignment, '=') + 1;
  if (!json_open(variables, '[', &items)) return 0;
  while (json_next(&items, &none, &variable)) {
    if (variable.length < with_sign + 2) continue;
    if (same_text((struct text){variable.at + 1, with_sign}, (struct text){assignment.at, with_sign})) return 1;
  }
  return 0;
}

/* `<source> <destination> ro|rw` */
static void write_mount(struct writer *to, struct text line) {
  struct text source = take_until(&line, ' ');
  struct text destination = take_until(&line, ' ');
  write_plain(to, "{\"destination\":");
  write_quoted(to, destination);
  write_plain(to, ",\"type\":\"bind\",\"source\":");
  write_quoted(to, source);
  write_plain(to, ",\"options\":[\"bind\",\"nosuid\",\"nodev\",");
  write_quoted(to, line);
  write_plain(to, "]}");
}

static struct text destination_of(struct text line) {
  take_until(&line, ' ');
  return take_until(&line, ' ');
}

/* Copies `config` up to an array's end and adds the edits that begin with `word`; answers where it stopped, or NULL. */
static const char *extend_array(struct writer *to, const char *from, struct text array, struct text edits,
                                const char *word) {
  if (array.length < 2 || *array.at != '[') return NULL;
  const char *end = array.at + array.length - 1;
  write_text(to, (struct text){from, (size_t)(end - from)});
  struct json_items items;
  struct text none;
  struct text first;
  int is_empty = !json_open(array, '[', &items) || !json_next(&items, &none, &first);
  while (edits.length > 0) {
    struct text line = take_until(&edits, '\n');
    if (!is_text(take_until(&line, ' '), word)) continue;
    int is_mount = is_text(text_of(word), "mount");
    if (is_mount ? has_mount(array, destination_of(line)) : has_variable(array, line)) continue;
    if (!is_empty) write_plain(to, ",");
    is_empty = 0;
    if (is_mount) write_mount(to, line);
    else write_quoted(to, line);
  }
  return end;
}

static int has_edit(struct text edits, const char *word) {
  while (edits.length > 0) {
    struct text line = take_until(&edits, '\n');
    if (is_text(take_until(&line, ' '), word)) return 1;
  }
  return 0;
}

size_t edit_config(struct text config, struct text edits, char *output, size_t size) {
  struct writer to = {output, size, 0};
  struct text root = json_value(config);
  struct text arrays[] = {json_member(root, "mounts"), json_member(json_member(root, "process"), "env")};
  const char *words[] = {"mount", "env"};
  /* In the order in which they stand in the file, whatever the encoder made of it. */
  int first = arrays[0].at < arrays[1].at ? 0 : 1;
  const char *from = config.at;
  for (int i = 0; i < 2; i += 1) {
    int array = i == 0 ? first : 1 - first;
    if (!has_edit(edits, words[array])) continue;
    from = extend_array(&to, from, arrays[array], edits, words[array]);
    if (from == NULL) return 0;
  }
  write_text(&to, (struct text){from, (size_t)(config.at + config.length - from)});
  size_t length = size - to.left;
  return to.full || length == config.length ? 0 : length;
}
