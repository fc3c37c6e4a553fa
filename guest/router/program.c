/* Layouts: elf(5), and for notes the Linux Extensions to gABI (NT_GNU_PROPERTY_TYPE_0, GNU_PROPERTY_X86_*). */
#include "program.h"

#include "../freestanding/linux.h"
#include "../freestanding/start.h"
#include "../freestanding/text.h"

enum {
  ET_EXEC = 2,
  ET_DYN = 3,
  EM_X86_64 = 62,
  PT_LOAD = 1,
  PT_INTERP = 3,
  PT_NOTE = 4,
  NT_GNU_BUILD_ID = 3,
  NT_GNU_PROPERTY_TYPE_0 = 5,
  /* Programs have about a dozen; the kernel takes what fits in 64 KiB (fs/binfmt_elf.c, load_elf_phdrs). */
  MAX_HEADERS = 1024,
  MAX_NOTES_BYTES = 4096,
  /* PATH_MAX */
  MAX_INTERPRETER_BYTES = 4096,
  PAGE_BYTES = 4096,
};
static const uint32_t GNU_PROPERTY_X86_ISA_1_NEEDED = 0xc0008002;

struct elf_header {
  uint8_t ident[16];
  uint16_t type;
  uint16_t machine;
  uint32_t version;
  uint64_t entry;
  uint64_t headers_offset;
  uint64_t sections_offset;
  uint32_t flags;
  uint16_t size;
  uint16_t header_size;
  uint16_t header_count;
};

struct program_header {
  uint32_t type;
  uint32_t flags;
  uint64_t offset;
  uint64_t address;
  uint64_t physical_address;
  uint64_t file_size;
  uint64_t memory_size;
  uint64_t alignment;
};

static uint32_t read_u32(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static size_t align_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

/* A file with its first page at hand: all that is looked for mostly lies there, and a system call costs more than this. */
struct source {
  int file;
  size_t length;
  uint8_t page[4096];
};

static int read_whole(const struct source *source, void *buffer, size_t length, uint64_t offset) {
  if (offset <= source->length && length <= source->length - offset) {
    memcpy(buffer, source->page + offset, length);
    return 1;
  }
  return offset <= INT64_MAX && read_at(source->file, buffer, length, (int64_t)offset) == (long)length;
}

/* Properties: type, size, data padded to 8 bytes. */
static void read_properties(const uint8_t *data, size_t length, struct program *program) {
  size_t at = 0;
  while (at + 8 <= length) {
    uint32_t type = read_u32(data + at);
    size_t size = read_u32(data + at + 4);
    if (size > length - at - 8) return;
    if (type == GNU_PROPERTY_X86_ISA_1_NEEDED && size == 4) {
      /* One bit a level, the baseline first. */
      uint32_t bits = read_u32(data + at + 8);
      for (int level = 1; level <= 4; level += 1) {
        if ((bits >> (level - 1) & 1) != 0) program->isa_level = level;
      }
    }
    at += 8 + align_up(size, 8);
  }
}

/* Notes: sizes of name and data, type, name, data; each padded to the segment's alignment. */
static void read_notes(const uint8_t *notes, size_t length, size_t alignment, struct program *program) {
  size_t at = 0;
  while (at + 12 <= length) {
    size_t name_size = read_u32(notes + at);
    size_t size = read_u32(notes + at + 4);
    uint32_t type = read_u32(notes + at + 8);
    size_t data = align_up(at + 12 + name_size, alignment);
    if (name_size > length || data > length || size > length - data) return;
    int is_gnu = name_size == 4 && is_text((struct text){(const char *)notes + at + 12, 3}, "GNU");
    if (is_gnu && type == NT_GNU_BUILD_ID && size <= MAX_BUILD_ID_BYTES) {
      for (size_t i = 0; i < size; i += 1) program->build_id[i] = notes[data + i];
      program->build_id_length = size;
    }
    if (is_gnu && type == NT_GNU_PROPERTY_TYPE_0) read_properties(notes + data, size, program);
    at = align_up(data + size, alignment);
  }
}

static enum program_libc libc_of(struct text interpreter) {
  struct text name = interpreter;
  while (index_of(name, '/') < name.length) take_until(&name, '/');
  if (begins_with(name, "ld-linux-x86-64.so")) return LIBC_GLIBC;
  if (begins_with(name, "ld-musl-")) return LIBC_MUSL;
  return LIBC_OTHER;
}

static void read_segment(const struct source *source, const struct program_header *header, struct program *program) {
  if (header->type == PT_INTERP) {
    char path[MAX_INTERPRETER_BYTES];
    program->libc = LIBC_OTHER;
    if (header->file_size > sizeof path || !read_whole(source, path, header->file_size, header->offset)) return;
    struct text interpreter = {path, header->file_size};
    program->libc = libc_of((struct text){path, index_of(interpreter, '\0')});
  }
  if (header->type == PT_NOTE && header->file_size <= MAX_NOTES_BYTES) {
    uint8_t notes[MAX_NOTES_BYTES];
    if (!read_whole(source, notes, header->file_size, header->offset)) return;
    read_notes(notes, header->file_size, header->alignment == 8 ? 8 : 4, program);
  }
}

/* Segments are in the order of their addresses; `end` is where the ones before end. Addresses as box64 takes them. */
static void look_at_units(const struct program_header *header, uint64_t *end, struct program *program) {
  if (header->type != PT_LOAD || header->flags == 0 || header->memory_size == 0) return;
  uint64_t begin = header->physical_address;
  uint64_t into = header->alignment > PAGE_BYTES ? begin & (header->alignment - 1) : 0;
  if (into != 0 && begin - into < *end) program->shares_unit = 1;
  *end = begin + header->memory_size;
}

int read_program(int file, struct program *program) {
  *program = (struct program){.libc = LIBC_NONE, .isa_level = 1};
  struct source source;
  long length = read_at(file, source.page, sizeof source.page, 0);
  if (length < 0) return 0;
  source.file = file;
  source.length = (size_t)length;
  struct elf_header elf;
  if (!read_whole(&source, &elf, sizeof elf, 0)) return 0;
  if (!begins_with((struct text){(const char *)elf.ident, sizeof elf.ident}, "\x7f" "ELF\x02\x01")) return 0;
  if ((elf.type != ET_EXEC && elf.type != ET_DYN) || elf.machine != EM_X86_64) return 0;
  if (elf.header_size != sizeof(struct program_header) || elf.header_count > MAX_HEADERS) return 0;
  uint64_t end = 0;
  for (size_t i = 0; i < elf.header_count; i += 1) {
    struct program_header header;
    if (!read_whole(&source, &header, sizeof header, elf.headers_offset + i * sizeof header)) return 0;
    read_segment(&source, &header, program);
    look_at_units(&header, &end, program);
  }
  return 1;
}
