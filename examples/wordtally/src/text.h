/* Words out of bytes. */
#ifndef WORDTALLY_TEXT_H
#define WORDTALLY_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Longer words are cut: a file without blanks must not fill the memory. */
enum { MAX_WORD = 255 };

/*
 * Reads the next word, in lower case, into `word` (MAX_WORD + 1 bytes) and returns its length; 0 at the end of the
 * file. A word is letters, digits and bytes above 127 (so UTF-8 stays whole); apostrophes and hyphens count inside it.
 */
size_t next_word(FILE *in, char *word);

#endif
