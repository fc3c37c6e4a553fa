#include "table.h"

#include "../freestanding/linux.h"

static const char FIRST_LINE[] = "rosetta-vm-router 1";
static const char LAST_LINE[] = "end";

static int parse_digit(struct text word, unsigned limit, unsigned *value) {
  if (word.length != 1 || word.at[0] < '0' || word.at[0] > '9') return 0;
  *value = (unsigned)(word.at[0] - '0');
  return *value < limit;
}

static int find_translator(const struct table *table, struct text name, unsigned *index) {
  for (unsigned i = 0; i < table->translator_count; i += 1) {
    if (!same_text(table->translators[i].name, name)) continue;
    *index = i;
    return 1;
  }
  return 0;
}

static int parse_calling(struct text word, enum calling *calling) {
  static const char *const words[] = {[CALL_BOX64] = "box64", [CALL_QEMU] = "qemu", [CALL_PLAIN] = "plain"};
  for (unsigned i = 0; i < sizeof words / sizeof *words; i += 1) {
    if (!is_text(word, words[i])) continue;
    *calling = (enum calling)i;
    return 1;
  }
  return 0;
}

/* `translator <name> <slot> box64|qemu|plain glibc|any <ISA level> <path>` */
static int parse_translator(struct text line, struct table *table) {
  if (table->translator_count == MAX_TRANSLATORS) return 0;
  struct translator *translator = &table->translators[table->translator_count];
  translator->name = take_until(&line, ' ');
  if (translator->name.length == 0) return 0;
  if (!parse_digit(take_until(&line, ' '), MAX_TRANSLATORS, &translator->slot)) return 0;
  if (!parse_calling(take_until(&line, ' '), &translator->calling)) return 0;
  struct text libc = take_until(&line, ' ');
  if (!is_text(libc, "glibc") && !is_text(libc, "any")) return 0;
  translator->glibc_only = is_text(libc, "glibc");
  unsigned level;
  if (!parse_digit(take_until(&line, ' '), 5, &level)) return 0;
  translator->isa_level = (int)level;
  if (!begins_with(line, "/")) return 0;
  translator->path = line.at;
  table->translator_count += 1;
  return 1;
}

/* `env`, `without-cache` or `settled`, then `<translator> NAME=value` */
static int parse_variable(struct text line, enum setting setting, struct table *table) {
  if (table->variable_count == MAX_VARIABLES) return 0;
  struct variable *variable = &table->variables[table->variable_count];
  if (!find_translator(table, take_until(&line, ' '), &variable->translator)) return 0;
  size_t name_length = index_of(line, '=');
  if (name_length == 0 || name_length == line.length) return 0;
  variable->setting = setting;
  variable->assignment = line.at;
  table->variable_count += 1;
  return 1;
}

/* `deny <from> <build-id or -> <path or nothing>` */
static int parse_denied(struct text line, struct table *table) {
  if (table->denied_count == MAX_DENIED) return 0;
  struct denied *denied = &table->denied[table->denied_count];
  denied->from = take_until(&line, ' ');
  denied->build_id = take_until(&line, ' ');
  if (is_text(denied->build_id, "-")) denied->build_id.length = 0;
  denied->path = line;
  if (denied->from.length == 0 || (denied->build_id.length == 0 && denied->path.length == 0)) return 0;
  table->denied_count += 1;
  return 1;
}

static int parse_line(struct text line, struct table *table) {
  struct text word = take_until(&line, ' ');
  if (is_text(word, "translator")) return parse_translator(line, table);
  if (is_text(word, "env")) return parse_variable(line, SET_ALWAYS, table);
  if (is_text(word, "without-cache")) return parse_variable(line, SET_WITHOUT_CACHE, table);
  if (is_text(word, "settled")) return parse_variable(line, SET_SETTLED, table);
  if (is_text(word, "deny")) return parse_denied(line, table);
  return 1;
}

int parse_table(char *bytes, size_t length, struct table *table) {
  table->translator_count = table->variable_count = table->denied_count = 0;
  struct text rest = {bytes, length};
  for (size_t line_number = 0; rest.length > 0; line_number += 1) {
    if (index_of(rest, '\n') == rest.length) return 0;
    struct text line = take_until(&rest, '\n');
    if (index_of(line, '\0') < line.length) return 0;
    bytes[line.at + line.length - bytes] = '\0';
    if (line_number == 0 && !is_text(line, FIRST_LINE)) return 0;
    if (is_text(line, LAST_LINE)) return rest.length == 0 && table->translator_count > 0;
    if (line_number > 0 && !parse_line(line, table)) return 0;
  }
  return 0;
}

int has_setting(const struct table *table, unsigned translator, enum setting setting) {
  for (unsigned i = 0; i < table->variable_count; i += 1) {
    if (table->variables[i].translator == translator && table->variables[i].setting == setting) return 1;
  }
  return 0;
}

static int has_build_id(const struct program *program, struct text hexadecimal) {
  if (hexadecimal.length == 0 || hexadecimal.length != program->build_id_length * 2) return 0;
  for (size_t i = 0; i < program->build_id_length; i += 1) {
    const char *digits = "0123456789abcdef";
    if (hexadecimal.at[2 * i] != digits[program->build_id[i] >> 4]) return 0;
    if (hexadecimal.at[2 * i + 1] != digits[program->build_id[i] & 15]) return 0;
  }
  return 1;
}

static int is_denied(const struct table *table, const struct program *program, struct text path, struct text from) {
  for (unsigned i = 0; i < table->denied_count; i += 1) {
    const struct denied *row = &table->denied[i];
    if (!same_text(row->from, from)) continue;
    if (row->path.length > 0 && !same_text(row->path, path)) continue;
    if (row->build_id.length > 0 && !has_build_id(program, row->build_id)) continue;
    return 1;
  }
  return 0;
}

/* REASON_DEFAULT when nothing speaks against the translator. */
static enum reason objection(const struct table *table, unsigned index, const struct program *program,
                             struct text path) {
  const struct translator *translator = &table->translators[index];
  if (translator->glibc_only && program->libc != LIBC_GLIBC) return REASON_LIBC;
  if (program->isa_level > translator->isa_level) return REASON_ISA;
  /*
   * box64 gives such a segment fresh memory from where its unit begins, and what was mapped there is gone (0.4.3,
   * src/elfs/elfloader.c, AllocLoadElfMemory). Debian's node is one: "Error: Loading needed libs".
   */
  if (translator->calling == CALL_BOX64 && program->shares_unit) return REASON_LAYOUT;
  if (is_denied(table, program, path, translator->name)) return REASON_DENY;
  return REASON_DEFAULT;
}

struct choice choose(const struct table *table, const struct program *program, struct text path, struct text wanted) {
  struct choice choice = {0, REASON_DEFAULT, is_denied(table, program, path, text_of("cache")), 0};
  if (find_translator(table, wanted, &choice.translator)) {
    choice.reason = REASON_ENVIRONMENT;
    return choice;
  }
  enum reason against_first = objection(table, 0, program, path);
  if (against_first == REASON_DEFAULT) return choice;
  for (unsigned i = 1; i < table->translator_count; i += 1) {
    if (objection(table, i, program, path) != REASON_DEFAULT) continue;
    choice.translator = i;
    choice.reason = against_first;
    return choice;
  }
  return choice;
}
