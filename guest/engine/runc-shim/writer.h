/* Bounded writing of JSON; once it does not fit, `full` stays set. */
#ifndef ROSETTA_VM_WRITER_H
#define ROSETTA_VM_WRITER_H

#include "../../freestanding/text.h"

struct writer {
  char *at;
  size_t left;
  int full;
};

static inline void write_text(struct writer *to, struct text text) {
  if (text.length > to->left) {
    to->full = 1;
    return;
  }
  for (size_t i = 0; i < text.length; i += 1) to->at[i] = text.at[i];
  to->at += text.length;
  to->left -= text.length;
}

static inline void write_plain(struct writer *to, const char *string) { write_text(to, text_of(string)); }

/* A string. Text with control characters, which none of ours has, does not fit (RFC 8259, section 7). */
static inline void write_quoted(struct writer *to, struct text text) {
  write_plain(to, "\"");
  for (size_t i = 0; i < text.length; i += 1) {
    if ((unsigned char)text.at[i] < ' ') to->full = 1;
    if (text.at[i] == '"' || text.at[i] == '\\') write_plain(to, "\\");
    write_text(to, (struct text){text.at + i, 1});
  }
  write_plain(to, "\"");
}

#endif
