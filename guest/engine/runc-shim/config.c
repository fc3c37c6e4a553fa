#include "config.h"

#include "json.h"
#include "scratch.h"
#include "writer.h"

enum { MAX_PATH_BYTES = 4096 };

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

int is_hook(struct text hook, const char *command) {
  static char string[MAX_PATH_BYTES];
  struct json_items args;
  struct text none;
  struct text first;
  return json_open(json_member(hook, "args"), '[', &args) && json_next(&args, &none, &first) &&
         json_string(first, string, sizeof string) && is_text(text_of(string), command);
}

/* True when a bundle has our hook already. */
static int has_hook(struct text hooks) {
  struct json_items items;
  struct text none;
  struct text hook;
  if (!json_open(hooks, '[', &items)) return 0;
  while (json_next(&items, &none, &hook)) {
    if (is_hook(hook, SCRATCH_COMMAND)) return 1;
  }
  return 0;
}

static int is_empty(struct text value, char open) {
  struct json_items items;
  struct text none;
  struct text first;
  return !json_open(value, open, &items) || !json_next(&items, &none, &first);
}

/* Copies up to where the hook belongs and adds it; answers where it stopped. A `hooks` of another kind stays as it is. */
static const char *add_hook(struct writer *to, const char *from, struct text root, struct text hook) {
  struct text hooks = json_member(root, "hooks");
  struct text poststop = json_member(hooks, "poststop");
  struct text outer = poststop.length > 0 ? poststop : hooks.length > 0 ? hooks : root;
  char open = poststop.length > 0 ? '[' : '{';
  if (outer.length < 2 || *outer.at != open || has_hook(poststop)) return from;
  const char *end = outer.at + outer.length - 1;
  write_text(to, (struct text){from, (size_t)(end - from)});
  if (!is_empty(outer, open)) write_plain(to, ",");
  if (hooks.length == 0) write_plain(to, "\"hooks\":{");
  if (poststop.length == 0) write_plain(to, "\"poststop\":[");
  write_text(to, hook);
  if (poststop.length == 0) write_plain(to, "]");
  if (hooks.length == 0) write_plain(to, "}");
  return end;
}

/* What is added, by where it stands in the file: encoders order members as they like. */
struct place {
  struct text value;
  const char *word;
};

size_t edit_config(struct text config, struct text edits, struct text hook, char *output, size_t size) {
  struct writer to = {output, size, 0};
  struct text root = json_value(config);
  struct text hooks = json_member(root, "hooks");
  struct place places[] = {
      {json_member(root, "mounts"), "mount"},
      {json_member(json_member(root, "process"), "env"), "env"},
      /* Without hooks they are added at the end of all. */
      {hooks.length > 0 ? hooks : (struct text){root.at + root.length, 0}, NULL},
  };
  const char *from = config.at;
  for (int done = 0; done < 3; done += 1) {
    int next = done;
    for (int i = done + 1; i < 3; i += 1) {
      if (places[i].value.at < places[next].value.at) next = i;
    }
    struct place place = places[next];
    places[next] = places[done];
    if (place.word == NULL) {
      if (hook.length > 0 && root.length > 0) from = add_hook(&to, from, root, hook);
      continue;
    }
    if (!has_edit(edits, place.word)) continue;
    from = extend_array(&to, from, place.value, edits, place.word);
    if (from == NULL) return 0;
  }
  write_text(&to, (struct text){from, (size_t)(config.at + config.length - from)});
  size_t length = size - to.left;
  return to.full || length == config.length ? 0 : length;
}
