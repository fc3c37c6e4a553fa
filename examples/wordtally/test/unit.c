/* Unit tests: prints each case and ends with the number of those that failed. */
#include "../src/tally.h"
#include "../src/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool holds, const char *what)
{
    printf("%s - %s\n", holds ? "ok" : "not ok", what);
    if (!holds) failures++;
}

/* Whether the words of `text` are `expected`, joined by blanks. */
static bool splits_into(const char *text, const char *expected)
{
    char word[MAX_WORD + 1];
    char joined[4096] = "";
    FILE *in = tmpfile();
    if (in == NULL) return false;
    fputs(text, in);
    rewind(in);
    while (next_word(in, word) > 0) {
        if (joined[0] != '\0') strcat(joined, " ");
        strcat(joined, word);
    }
    fclose(in);
    return strcmp(joined, expected) == 0;
}

static void test_words(void)
{
    char longer[MAX_WORD + 11], cut[MAX_WORD + 1];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(cut, longer, MAX_WORD);
    cut[MAX_WORD] = '\0';

    check(splits_into("", ""), "an empty file has no words");
    check(splits_into(" ,;\n\t", ""), "punctuation is no word");
    check(splits_into("The CAT, the cat.", "the cat the cat"), "words are in lower case");
    check(splits_into("don't -- re-use 'it'", "don't re-use it"), "apostrophes and hyphens count inside a word");
    check(splits_into("caf\xc3\xa9 na\xc3\xafve", "caf\xc3\xa9 na\xc3\xafve"), "UTF-8 stays whole");
    check(splits_into(longer, cut), "an endless word is cut");
}

static void test_tally(void)
{
    struct tally tally = {0};
    char word[16];
    bool added = true;

    check(tally_count(&tally, "none") == 0, "an empty tally counts nothing");
    check(tally_sorted(&tally) == NULL, "an empty tally has no rows");
    for (int i = 0; i < 2000; i++) {
        snprintf(word, sizeof word, "w%d", i % 500);
        added = tally_add(&tally, word) && added;
    }
    added = tally_add(&tally, "w7") && added;
    check(added, "2,001 words are added");
    check(tally.used == 500, "each word is kept once");
    check(tally_count(&tally, "w7") == 5 && tally_count(&tally, "w499") == 4, "the counts outlive the table's growth");

    struct entry *sorted = tally_sorted(&tally);
    check(sorted != NULL && strcmp(sorted[0].word, "w7") == 0, "the most frequent word is first");
    check(sorted != NULL && strcmp(sorted[1].word, "w0") == 0, "words of the same count are sorted by their bytes");
    free(sorted);
    tally_free(&tally);
    check(tally.used == 0 && tally_count(&tally, "w7") == 0, "a freed tally is empty");
}

int main(void)
{
    test_words();
    test_tally();
    return failures;
}
