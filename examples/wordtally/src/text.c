#include "text.h"

#include <stdbool.h>

static bool is_letter(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte > 127;
}

static bool joins(int byte)
{
    return byte == '\'' || byte == '-';
}

/* Not tolower(3): what a word is must not depend on the locale. */
static char lower(int byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

size_t next_word(FILE *in, char *word)
{
    size_t length = 0;
    int byte = getc(in);
    while (byte != EOF && !is_letter(byte)) byte = getc(in);
    while (byte != EOF) {
        int joint = 0;
        if (joins(byte)) {
            /* It belongs to the word only when the word goes on behind it. */
            joint = byte;
            byte = getc(in);
        }
        if (byte == EOF || !is_letter(byte)) break;
        if (joint != 0 && length < MAX_WORD) word[length++] = (char)joint;
        if (length < MAX_WORD) word[length++] = lower(byte);
        byte = getc(in);
    }
    word[length] = '\0';
    return length;
}
