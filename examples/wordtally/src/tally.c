#include "tally.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static uint64_t hash(const char *word)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325);
    for (; *word != '\0'; word++) value = (value ^ (unsigned char)*word) * UINT64_C(0x100000001b3);
    return value;
}

/* The slot that holds the word, or the empty one where it belongs. The table is never full. */
static struct entry *find(struct entry *slots, size_t capacity, const char *word)
{
    size_t index = (size_t)hash(word) & (capacity - 1);
    while (slots[index].word != NULL && strcmp(slots[index].word, word) != 0) index = (index + 1) & (capacity - 1);
    return &slots[index];
}

static bool grow(struct tally *tally)
{
    size_t capacity = tally->capacity == 0 ? FIRST_CAPACITY : tally->capacity * 2;
    struct entry *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < tally->capacity; i++) {
        struct entry *old = &tally->slots[i];
        if (old->word != NULL) *find(slots, capacity, old->word) = *old;
    }
    free(tally->slots);
    tally->slots = slots;
    tally->capacity = capacity;
    return true;
}

bool tally_add(struct tally *tally, const char *word)
{
    /* At most three quarters full, so that searches stay short. */
    if (tally->used >= tally->capacity / 4 * 3 && !grow(tally)) return false;
    struct entry *entry = find(tally->slots, tally->capacity, word);
    if (entry->word == NULL) {
        size_t bytes = strlen(word) + 1;
        entry->word = malloc(bytes);
        if (entry->word == NULL) return false;
        memcpy(entry->word, word, bytes);
        tally->used++;
    }
    entry->count++;
    return true;
}

unsigned long tally_count(const struct tally *tally, const char *word)
{
    return tally->capacity == 0 ? 0 : find(tally->slots, tally->capacity, word)->count;
}

static int by_count(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return strcmp(a->word, b->word);
}

struct entry *tally_sorted(const struct tally *tally)
{
    if (tally->used == 0) return NULL;
    struct entry *sorted = malloc(tally->used * sizeof *sorted);
    if (sorted == NULL) return NULL;
    size_t length = 0;
    for (size_t i = 0; i < tally->capacity; i++) {
        if (tally->slots[i].word != NULL) sorted[length++] = tally->slots[i];
    }
    qsort(sorted, length, sizeof *sorted, by_count);
    return sorted;
}

void tally_free(struct tally *tally)
{
    for (size_t i = 0; i < tally->capacity; i++) free(tally->slots[i].word);
    free(tally->slots);
    *tally = (struct tally){0};
}
