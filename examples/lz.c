/*
 * lz: a small LZ77 compressor with a self-test, used as the longer source file of the benchmark.
 *
 *     cc -O2 -Wall -Wextra -o lz lz.c
 *     ./lz --test
 *     ./lz -c < file > file.lz
 *     ./lz -d < file.lz > file
 *
 * Format, all numbers little endian:
 *
 *     magic "LZ1\n", length of the data (8 bytes), Adler-32 of the data (RFC 1950, section 9), then sequences.
 *     sequence: token, [more literal lengths], literals, offset (2 bytes), [more match lengths]
 *     token:    high 4 bits: number of literals; low 4 bits: length of the match minus MIN_MATCH
 *
 * A nibble of 15 is followed by bytes that are added to it, as long as they are 255. The last sequence is literals
 * only: it ends with the data. Offsets count back from the byte to be written next, 1 to 65535.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_MATCH = 4,
    MAX_OFFSET = 65535,
    HASH_BITS = 15,
    HASH_SIZE = 1 << HASH_BITS,
    /* Candidates tried for a position: more find longer matches and take longer. */
    MAX_CHAIN = 48,
    NIBBLE_MAX = 15,
    HEADER_SIZE = 4 + 8 + 4,
    ADLER_MOD = 65521,
    /* The most bytes whose sums fit 32 bits before the remainder must be taken. */
    ADLER_RUN = 5552,
};

static const uint8_t MAGIC[4] = {'L', 'Z', '1', '\n'};

typedef enum { LZ_OK, LZ_NO_MEMORY, LZ_BAD_HEADER, LZ_TRUNCATED, LZ_BAD_OFFSET, LZ_TOO_LONG, LZ_BAD_SUM } lz_status;

static const char *lz_message(lz_status status)
{
    switch (status) {
    case LZ_OK: return "no error";
    case LZ_NO_MEMORY: return "out of memory";
    case LZ_BAD_HEADER: return "not an lz file";
    case LZ_TRUNCATED: return "the data ends too early";
    case LZ_BAD_OFFSET: return "a match points before the start";
    case LZ_TOO_LONG: return "there is more data than the header says";
    case LZ_BAD_SUM: return "the checksum differs";
    }
    return "unknown error";
}

/* A growing array of bytes. A failed allocation is remembered, so that only the end has to be checked. */
typedef struct {
    uint8_t *data;
    size_t length;
    size_t capacity;
    bool failed;
} buffer;

static bool buffer_reserve(buffer *out, size_t more)
{
    if (out->failed) return false;
    if (more <= out->capacity - out->length) return true;
    size_t capacity = out->capacity == 0 ? 256 : out->capacity;
    while (capacity - out->length < more) {
        if (capacity > SIZE_MAX / 2) {
            out->failed = true;
            return false;
        }
        capacity *= 2;
    }
    uint8_t *data = realloc(out->data, capacity);
    if (data == NULL) {
        out->failed = true;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

static void buffer_byte(buffer *out, uint8_t byte)
{
    if (buffer_reserve(out, 1)) out->data[out->length++] = byte;
}

static void buffer_bytes(buffer *out, const uint8_t *bytes, size_t count)
{
    if (count == 0 || !buffer_reserve(out, count)) return;
    memcpy(out->data + out->length, bytes, count);
    out->length += count;
}

static void buffer_number(buffer *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) buffer_byte(out, (uint8_t)(value >> (8 * i)));
}

static void buffer_free(buffer *out)
{
    free(out->data);
    *out = (buffer){0};
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t read_u64(const uint8_t *bytes)
{
    return (uint64_t)read_u32(bytes) | (uint64_t)read_u32(bytes + 4) << 32;
}

static uint32_t adler32(const uint8_t *data, size_t length)
{
    uint32_t low = 1;
    uint32_t high = 0;
    while (length > 0) {
        size_t run = length < ADLER_RUN ? length : ADLER_RUN;
        length -= run;
        while (run-- > 0) {
            low += *data++;
            high += low;
        }
        low %= ADLER_MOD;
        high %= ADLER_MOD;
    }
    return high << 16 | low;
}

/*
 * Where each hash of four bytes was seen last, and for each position of the window where its hash was seen before.
 * Positions are stored plus one: zero means never.
 */
typedef struct {
    size_t head[HASH_SIZE];
    size_t previous[MAX_OFFSET + 1];
} matcher;

static uint32_t hash4(const uint8_t *bytes)
{
    /* Knuth's multiplicative hash: the golden ratio of 2^32. */
    return read_u32(bytes) * 2654435761u >> (32 - HASH_BITS);
}

static void matcher_insert(matcher *seen, const uint8_t *data, size_t position)
{
    uint32_t hash = hash4(data + position);
    seen->previous[position % (MAX_OFFSET + 1)] = seen->head[hash];
    seen->head[hash] = position + 1;
}

static size_t common_length(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
    const uint8_t *start = b;
    while (b < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(b - start);
}

typedef struct {
    size_t length;
    size_t offset;
} match;

static match matcher_find(const matcher *seen, const uint8_t *data, size_t length, size_t position)
{
    match best = {0, 0};
    size_t candidate = seen->head[hash4(data + position)];
    for (int tries = 0; candidate != 0 && tries < MAX_CHAIN; tries++) {
        size_t at = candidate - 1;
        if (position - at > MAX_OFFSET) break;
        size_t same = common_length(data + at, data + position, data + length);
        if (same > best.length) best = (match){same, position - at};
        size_t next = seen->previous[at % (MAX_OFFSET + 1)];
        /* The window wraps round: an older position may have been overwritten by a newer one. */
        if (next >= candidate) break;
        candidate = next;
    }
    return best.length >= MIN_MATCH ? best : (match){0, 0};
}

static void write_more(buffer *out, size_t rest)
{
    for (; rest >= 255; rest -= 255) buffer_byte(out, 255);
    buffer_byte(out, (uint8_t)rest);
}

static void write_sequence(buffer *out, const uint8_t *literals, size_t count, match found)
{
    size_t extra = found.length == 0 ? 0 : found.length - MIN_MATCH;
    size_t high = count < NIBBLE_MAX ? count : NIBBLE_MAX;
    size_t low = extra < NIBBLE_MAX ? extra : NIBBLE_MAX;
    buffer_byte(out, (uint8_t)(high << 4 | low));
    if (high == NIBBLE_MAX) write_more(out, count - NIBBLE_MAX);
    buffer_bytes(out, literals, count);
    if (found.length == 0) return;
    buffer_number(out, found.offset, 2);
    if (low == NIBBLE_MAX) write_more(out, extra - NIBBLE_MAX);
}

/* Appends the compressed form of the data to `out`. */
static lz_status lz_compress(const uint8_t *data, size_t length, buffer *out)
{
    matcher *seen = calloc(1, sizeof *seen);
    if (seen == NULL) return LZ_NO_MEMORY;
    buffer_bytes(out, MAGIC, sizeof MAGIC);
    buffer_number(out, length, 8);
    buffer_number(out, adler32(data, length), 4);

    size_t literals = 0;
    size_t position = 0;
    while (position + MIN_MATCH <= length) {
        match found = matcher_find(seen, data, length, position);
        matcher_insert(seen, data, position);
        if (found.length == 0) {
            position++;
            continue;
        }
        /* One byte later there may be a longer match: then this byte is better a literal. */
        if (position + 1 + MIN_MATCH <= length) {
            match later = matcher_find(seen, data, length, position + 1);
            if (later.length > found.length + 1) {
                position++;
                continue;
            }
        }
        write_sequence(out, data + literals, position - literals, found);
        size_t end = position + found.length;
        for (position++; position < end; position++) {
            if (position + MIN_MATCH <= length) matcher_insert(seen, data, position);
        }
        literals = end;
    }
    write_sequence(out, data + literals, length - literals, (match){0, 0});
    free(seen);
    return out->failed ? LZ_NO_MEMORY : LZ_OK;
}

/* Input that knows its end; reading past it is remembered and gives zeros. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    bool truncated;
} reader;

static uint8_t reader_byte(reader *in)
{
    if (in->at < in->end) return *in->at++;
    in->truncated = true;
    return 0;
}

static size_t reader_length(reader *in, size_t nibble, size_t limit)
{
    size_t length = nibble;
    if (nibble < NIBBLE_MAX) return length;
    uint8_t more;
    do {
        more = reader_byte(in);
        length += more;
    } while (more == 255 && length <= limit);
    return length;
}

static lz_status copy_match(buffer *out, size_t offset, size_t length)
{
    if (offset == 0 || offset > out->length) return LZ_BAD_OFFSET;
    if (!buffer_reserve(out, length)) return LZ_NO_MEMORY;
    /* Byte by byte: a match may overlap what it writes, which is how runs are stored. */
    uint8_t *to = out->data + out->length;
    const uint8_t *from = to - offset;
    for (size_t i = 0; i < length; i++) to[i] = from[i];
    out->length += length;
    return LZ_OK;
}

/* Appends the data to `out`, which must be empty. Never reads or writes out of bounds, whatever the input. */
static lz_status lz_decompress(const uint8_t *packed, size_t packed_length, buffer *out)
{
    if (packed_length < HEADER_SIZE || memcmp(packed, MAGIC, sizeof MAGIC) != 0) return LZ_BAD_HEADER;
    uint64_t length = read_u64(packed + 4);
    uint32_t sum = read_u32(packed + 12);
    reader in = {packed + HEADER_SIZE, packed + packed_length, false};
    for (;;) {
        uint8_t token = reader_byte(&in);
        size_t left = (size_t)length - out->length;
        size_t literals = reader_length(&in, token >> 4, left);
        if (in.truncated || literals > (size_t)(in.end - in.at)) return LZ_TRUNCATED;
        if (literals > left) return LZ_TOO_LONG;
        buffer_bytes(out, in.at, literals);
        in.at += literals;
        if (out->failed) return LZ_NO_MEMORY;
        if (out->length == length) break;

        size_t offset = reader_byte(&in);
        offset |= (size_t)reader_byte(&in) << 8;
        left = (size_t)length - out->length;
        size_t matched = reader_length(&in, token & NIBBLE_MAX, left) + MIN_MATCH;
        if (in.truncated) return LZ_TRUNCATED;
        if (matched > left) return LZ_TOO_LONG;
        lz_status status = copy_match(out, offset, matched);
        if (status != LZ_OK) return status;
    }
    if (in.at != in.end) return LZ_TOO_LONG;
    return adler32(out->data, out->length) == sum ? LZ_OK : LZ_BAD_SUM;
}

/* ---- self-test ---- */

static int failures = 0;

static void expect(bool condition, const char *what)
{
    if (condition) return;
    failures++;
    fprintf(stderr, "FAILED: %s\n", what);
}

/* xorshift32 (Marsaglia 2003): the same numbers on every machine. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fill_random(uint8_t *data, size_t length, uint32_t range)
{
    uint32_t state = 2463534242u;
    for (size_t i = 0; i < length; i++) data[i] = (uint8_t)(next_random(&state) % range);
}

static void fill_words(uint8_t *data, size_t length)
{
    static const char *const WORDS[] = {"cache ", "of ", "translations ", "the ", "guest ", "runs ", "once, ", "then "};
    uint32_t state = 88675123u;
    size_t at = 0;
    while (at < length) {
        const char *word = WORDS[next_random(&state) % (sizeof WORDS / sizeof *WORDS)];
        for (; *word != '\0' && at < length; word++) data[at++] = (uint8_t)*word;
    }
}

static void test_round_trip(const char *name, const uint8_t *data, size_t length, size_t at_most)
{
    buffer packed = {0};
    buffer unpacked = {0};
    expect(lz_compress(data, length, &packed) == LZ_OK, name);
    expect(packed.length <= at_most, "the packed size");
    lz_status status = lz_decompress(packed.data, packed.length, &unpacked);
    expect(status == LZ_OK, lz_message(status));
    expect(unpacked.length == length && (length == 0 || memcmp(unpacked.data, data, length) == 0), name);
    printf("%-10s %8zu -> %8zu bytes\n", name, length, packed.length);
    buffer_free(&packed);
    buffer_free(&unpacked);
}

/* Every way to cut the file short, and every single wrong byte, is noticed or harmless; none may crash. */
static void test_damage(const uint8_t *data, size_t length)
{
    buffer packed = {0};
    expect(lz_compress(data, length, &packed) == LZ_OK, "compress");
    for (size_t cut = 0; cut < packed.length; cut++) {
        buffer out = {0};
        expect(lz_decompress(packed.data, cut, &out) != LZ_OK, "a file that was cut short");
        buffer_free(&out);
    }
    for (size_t at = 0; at < packed.length; at++) {
        buffer out = {0};
        packed.data[at] ^= 0x41;
        lz_status status = lz_decompress(packed.data, packed.length, &out);
        expect(status != LZ_OK || memcmp(out.data, data, length) == 0, "a wrong byte");
        packed.data[at] ^= 0x41;
        buffer_free(&out);
    }
    buffer_free(&packed);
}

static int self_test(void)
{
    enum { SIZE = 200000 };
    static uint8_t data[SIZE];
    expect(adler32((const uint8_t *)"Wikipedia", 9) == 0x11e60398u, "Adler-32 of a known word");
    test_round_trip("empty", data, 0, HEADER_SIZE + 1);
    test_round_trip("one byte", (const uint8_t *)"x", 1, HEADER_SIZE + 2);
    test_round_trip("zeros", data, SIZE, SIZE / 200);
    fill_words(data, SIZE);
    test_round_trip("words", data, SIZE, SIZE / 4);
    test_damage(data, 3000);
    fill_random(data, SIZE, 4);
    test_round_trip("four bytes", data, SIZE, SIZE / 2);
    fill_random(data, SIZE, 256);
    test_round_trip("random", data, SIZE, SIZE + SIZE / 255 + 64);
    printf("%s\n", failures == 0 ? "all tests passed" : "some tests FAILED");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- command line ---- */

static bool read_all(FILE *from, buffer *into)
{
    uint8_t chunk[4096];
    size_t count;
    while ((count = fread(chunk, 1, sizeof chunk, from)) > 0) buffer_bytes(into, chunk, count);
    return !ferror(from) && !into->failed;
}

static int convert(lz_status (*work)(const uint8_t *, size_t, buffer *))
{
    buffer in = {0};
    buffer out = {0};
    int result = EXIT_FAILURE;
    if (!read_all(stdin, &in)) {
        fprintf(stderr, "lz: cannot read: %s\n", strerror(errno));
    } else {
        lz_status status = work(in.data, in.length, &out);
        if (status != LZ_OK) {
            fprintf(stderr, "lz: %s\n", lz_message(status));
        } else if (fwrite(out.data, 1, out.length, stdout) != out.length || fflush(stdout) != 0) {
            fprintf(stderr, "lz: cannot write: %s\n", strerror(errno));
        } else {
            result = EXIT_SUCCESS;
        }
    }
    buffer_free(&in);
    buffer_free(&out);
    return result;
}

int main(int argc, char **argv)
{
    const char *mode = argc == 2 ? argv[1] : "";
    if (strcmp(mode, "--test") == 0) return self_test();
    if (strcmp(mode, "-c") == 0) return convert(lz_compress);
    if (strcmp(mode, "-d") == 0) return convert(lz_decompress);
    fprintf(stderr, "usage: lz -c | -d | --test\n");
    return 2;
}
