#include "json.h"

static struct text skip_space(struct text text) {
  while (text.length > 0 && (*text.at == ' ' || *text.at == '\t' || *text.at == '\n' || *text.at == '\r')) {
    text.at += 1;
    text.length -= 1;
  }
  return text;
}

/* Length of the string that begins the text, its quotes included; 0 when it has no end. */
static size_t string_length(struct text text) {
  for (size_t i = 1; i < text.length; i += 1) {
    if (text.at[i] == '\\') i += 1;
    else if (text.at[i] == '"') return i + 1;
  }
  return 0;
}

/* Length of the array or object that begins the text; 0 when it has no end. */
static size_t nested_length(struct text text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.length; i += 1) {
    char c = text.at[i];
    if (c == '"') {
      size_t length = string_length((struct text){text.at + i, text.length - i});
      if (length == 0) return 0;
      i += length - 1;
    }
    if (c == '[' || c == '{') depth += 1;
    if (c == ']' || c == '}') depth -= 1;
    if (depth == 0) return i + 1;
  }
  return 0;
}

static size_t word_length(struct text text) {
  size_t i = 0;
  while (i < text.length && text.at[i] > ' ' && text.at[i] != ',' && text.at[i] != ']' && text.at[i] != '}') i += 1;
  return i;
}

struct text json_value(struct text text) {
  struct text value = skip_space(text);
  if (value.length == 0) return value;
  if (*value.at == '"') value.length = string_length(value);
  else if (*value.at == '[' || *value.at == '{') value.length = nested_length(value);
  else value.length = word_length(value);
  return value;
}

int json_open(struct text value, char open, struct json_items *items) {
  if (value.length < 2 || *value.at != open) return 0;
  items->rest = (struct text){value.at + 1, value.length - 1};
  items->close = open == '[' ? ']' : '}';
  return 1;
}

static void skip_to(struct text *rest, struct text after) {
  const char *end = rest->at + rest->length;
  rest->at = after.at + after.length;
  rest->length = (size_t)(end - rest->at);
  *rest = skip_space(*rest);
}

static int take(struct text *rest, char wanted) {
  if (rest->length == 0 || *rest->at != wanted) return 0;
  rest->at += 1;
  rest->length -= 1;
  return 1;
}

int json_next(struct json_items *items, struct text *key, struct text *value) {
  struct text *rest = &items->rest;
  *rest = skip_space(*rest);
  if (items->close == '}') {
    if (rest->length == 0 || *rest->at != '"') return 0;
    struct text quoted = json_value(*rest);
    if (quoted.length == 0) return 0;
    *key = (struct text){quoted.at + 1, quoted.length - 2};
    skip_to(rest, quoted);
    if (!take(rest, ':')) return 0;
  }
  *value = json_value(*rest);
  if (value->length == 0) return 0;
  skip_to(rest, *value);
  return take(rest, ',') || (rest->length > 0 && *rest->at == items->close);
}

struct text json_member(struct text object, const char *key) {
  struct json_items items;
  struct text name;
  struct text value;
  if (json_open(object, '{', &items)) {
    while (json_next(&items, &name, &value)) {
      if (is_text(name, key)) return value;
    }
  }
  return (struct text){object.at, 0};
}

static int hexadecimal(const char *digits, unsigned *value) {
  *value = 0;
  for (int i = 0; i < 4; i += 1) {
    char c = digits[i];
    unsigned digit;
    if (c >= '0' && c <= '9') digit = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f') digit = (unsigned)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F') digit = (unsigned)(c - 'A') + 10;
    else return 0;
    *value = *value * 16 + digit;
  }
  return 1;
}

/* UTF-8 (RFC 3629) of a character outside the surrogates; writes at most 3 bytes. */
static size_t encode(unsigned character, char *to) {
  if (character < 0x80) {
    to[0] = (char)character;
    return 1;
  }
  if (character < 0x800) {
    to[0] = (char)(0xc0 | character >> 6);
    to[1] = (char)(0x80 | (character & 0x3f));
    return 2;
  }
  to[0] = (char)(0xe0 | character >> 12);
  to[1] = (char)(0x80 | (character >> 6 & 0x3f));
  to[2] = (char)(0x80 | (character & 0x3f));
  return 3;
}

/* What follows a backslash; answers how many characters of it were read, or 0. */
static size_t unescape(struct text text, char *to, size_t *written) {
  static const char names[] = "\"\\/bfnrt";
  static const char characters[] = "\"\\/\b\f\n\r\t";
  *written = 1;
  for (size_t i = 0; i < sizeof names - 1; i += 1) {
    if (*text.at != names[i]) continue;
    *to = characters[i];
    return 1;
  }
  unsigned character;
  if (*text.at != 'u' || text.length < 5 || !hexadecimal(text.at + 1, &character)) return 0;
  /* Half of a pair: no path that matters here has such characters escaped. */
  if (character == 0 || (character >= 0xd800 && character < 0xe000)) return 0;
  *written = encode(character, to);
  return 5;
}

int json_string(struct text value, char *buffer, size_t size) {
  if (value.length < 2 || *value.at != '"') return 0;
  size_t length = 0;
  for (size_t i = 1; i + 1 < value.length; i += 1) {
    if (length + 4 > size || value.at[i] == '\0') return 0;
    size_t written = 1;
    if (value.at[i] == '\\') {
      size_t read = unescape((struct text){value.at + i + 1, value.length - i - 2}, buffer + length, &written);
      if (read == 0) return 0;
      i += read;
    } else {
      buffer[length] = value.at[i];
    }
    length += written;
  }
  if (length >= size) return 0;
  buffer[length] = '\0';
  return 1;
}
