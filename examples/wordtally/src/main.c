/* wordtally: the most frequent words of files, or of the standard input. */
#include "config.h"
#include "tally.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] = "Usage: wordtally [-n COUNT] [FILE...]\n"
                            "       wordtally --version\n";

enum { USUAL_ROWS = 10, FAILED = 1, MISUSED = 2 };

static int fail(const char *what)
{
    fprintf(stderr, "wordtally: %s: %s\n", what, strerror(errno));
    return FAILED;
}

static int read_words(FILE *in, const char *name, struct tally *tally)
{
    char word[MAX_WORD + 1];
    while (next_word(in, word) > 0) {
        if (!tally_add(tally, word)) return fail("out of memory");
    }
    return ferror(in) ? fail(name) : 0;
}

static int read_file(const char *name, struct tally *tally)
{
    FILE *in = fopen(name, "r");
    if (in == NULL) return fail(name);
    int status = read_words(in, name, tally);
    fclose(in);
    return status;
}

static int print_rows(const struct tally *tally, size_t rows)
{
    struct entry *sorted = tally_sorted(tally);
    if (sorted == NULL) return tally->used == 0 ? 0 : fail("out of memory");
    for (size_t i = 0; i < tally->used && i < rows; i++) printf("%7lu %s\n", sorted[i].count, sorted[i].word);
    free(sorted);
    return fflush(stdout) == 0 ? 0 : fail("standard output");
}

int main(int argc, char **argv)
{
    size_t rows = USUAL_ROWS;
    int first = 1;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("wordtally " PACKAGE_VERSION);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        char *end;
        rows = strtoul(argv[2], &end, 10);
        if (*argv[2] == '\0' || *end != '\0') {
            fputs(USAGE, stderr);
            return MISUSED;
        }
        first = 3;
    }
    struct tally tally = {0};
    int status = 0;
    if (first == argc) status = read_words(stdin, "standard input", &tally);
    for (int i = first; i < argc && status == 0; i++) status = read_file(argv[i], &tally);
    if (status == 0) status = print_rows(&tally, rows);
    tally_free(&tally);
    return status;
}
