/* Pieces of text that are not ended by NUL, so that a file's bytes can be read in place. */
#ifndef ROSETTA_VM_TEXT_H
#define ROSETTA_VM_TEXT_H

#include <stddef.h>

struct text {
  const char *at;
  size_t length;
};

static inline size_t length_of(const char *string) {
  size_t length = 0;
  while (string[length] != '\0') length += 1;
  return length;
}

static inline struct text text_of(const char *string) { return (struct text){string, length_of(string)}; }

static inline int same_text(struct text a, struct text b) {
  if (a.length != b.length) return 0;
  for (size_t i = 0; i < a.length; i += 1) {
    if (a.at[i] != b.at[i]) return 0;
  }
  return 1;
}

static inline int is_text(struct text text, const char *string) { return same_text(text, text_of(string)); }

static inline int begins_with(struct text text, const char *prefix) {
  size_t length = length_of(prefix);
  return text.length >= length && same_text((struct text){text.at, length}, (struct text){prefix, length});
}

/* Index of the first `wanted`, or the length when there is none. */
static inline size_t index_of(struct text text, char wanted) {
  size_t i = 0;
  while (i < text.length && text.at[i] != wanted) i += 1;
  return i;
}

/* Takes what is before the first `separator` off the front, and the separator with it. */
static inline struct text take_until(struct text *rest, char separator) {
  size_t length = index_of(*rest, separator);
  struct text taken = {rest->at, length};
  size_t used = length < rest->length ? length + 1 : length;
  rest->at += used;
  rest->length -= used;
  return taken;
}

#endif
