/* How often each word was seen: a hash table with open addressing. */
#ifndef WORDTALLY_TALLY_H
#define WORDTALLY_TALLY_H

#include <stdbool.h>
#include <stddef.h>

struct entry {
    char *word;
    unsigned long count;
};

struct tally {
    struct entry *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t used;
};

/* Counts one more of `word`, which is copied. False when there is no memory; the tally is then as it was. */
bool tally_add(struct tally *tally, const char *word);

/* 0 for a word that was never added. */
unsigned long tally_count(const struct tally *tally, const char *word);

/*
 * The words, most frequent first, words of the same count by their bytes: `tally->used` entries, to be freed by the
 * caller; the words still belong to the tally. Null when there is no memory or no word.
 */
struct entry *tally_sorted(const struct tally *tally);

void tally_free(struct tally *tally);

#endif
