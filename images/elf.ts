/** Reads and edits 64-bit little-endian ELF files (elf(5)), in place: nothing moves, so no offset changes. */
import { RosettaVmError } from '../host/errors.ts';

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const ET_EXEC = 2;
const EM_AARCH64 = 183;
const DT_RELA = 7n;
const DT_RELASZ = 8n;
const DT_RELACOUNT = 0x6ffffff9n;
/** ELF for the Arm 64-bit Architecture (IHI 0056), "Dynamic relocations". */
const R_AARCH64_RELATIVE = 1027n;
const RELA_BYTES = 24;

/** Whether a file begins as an ELF file of any kind does. */
export function isElf(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.readUInt32BE(0) === 0x7f454c46;
}

/** Where the two header tables lie. `what` names the file in errors. */
function header(bytes: Buffer, what: string) {
  // EI_CLASS 2 is 64 bits, EI_DATA 1 little endian.
  if (!isElf(bytes) || bytes.length < 64 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw damaged(what, 'it is not a 64-bit little-endian ELF file');
  }
  return {
    programs: { at: Number(bytes.readBigUInt64LE(32)), size: bytes.readUInt16LE(54), count: bytes.readUInt16LE(56) },
    sections: {
      at: Number(bytes.readBigUInt64LE(40)),
      size: bytes.readUInt16LE(58),
      count: bytes.readUInt16LE(60),
      names: bytes.readUInt16LE(62),
    },
  };
}

/** A table's rows; every one lies inside the file. */
function rows(bytes: Buffer, table: { at: number; size: number; count: number }, least: number, what: string) {
  if (table.count > 0 && (table.size < least || table.at + table.size * table.count > bytes.length)) {
    throw damaged(what, 'a header table goes beyond its end');
  }
  return Array.from({ length: table.count }, (_, index) =>
    bytes.subarray(table.at + index * table.size, table.at + (index + 1) * table.size),
  );
}

function slice(bytes: Buffer, at: number, size: number, what: string): Buffer {
  if (at + size > bytes.length) throw damaged(what, 'a section goes beyond its end');
  return bytes.subarray(at, at + size);
}

/**
 * The content of a section, or null when there is none of that name; it shares the file's memory.
 * Throws `E_INVALID` on a damaged file.
 */
export function elfSection(bytes: Buffer, name: string, what: string): Buffer | null {
  const { sections } = header(bytes, what);
  const table = rows(bytes, sections, 64, what);
  const content = (row: Buffer): Buffer =>
    slice(bytes, Number(row.readBigUInt64LE(24)), Number(row.readBigUInt64LE(32)), what);
  const names = table[sections.names];
  if (names === undefined) return null;
  const strings = content(names);
  const found = table.find((row) => cString(strings, row.readUInt32LE(0)) === name);
  return found === undefined ? null : content(found);
}

/** The dynamic loader that the program asks for, or null. It shares the file's memory. */
function interpreter(bytes: Buffer, what: string): Buffer | null {
  const row = rows(bytes, header(bytes, what).programs, 56, what).find((one) => one.readUInt32LE(0) === PT_INTERP);
  return row === undefined ? null : slice(bytes, Number(row.readBigUInt64LE(8)), Number(row.readBigUInt64LE(32)), what);
}

/**
 * Overwrites a program's interpreter. The kernel reads the segment as a NUL-terminated string (fs/binfmt_elf.c), so a
 * shorter path needs no other change. Throws `E_INVALID` unless the interpreter is `from` and `to` fits.
 */
export function replaceInterpreter(bytes: Buffer, from: string, to: string, what: string): void {
  const segment = interpreter(bytes, what);
  const found = segment === null ? null : cString(segment, 0);
  if (segment === null || found !== from) throw damaged(what, `its interpreter is ${found ?? 'missing'}, not ${from}`);
  if (to.length + 1 > segment.length) throw damaged(what, `${to} is longer than ${from}`);
  segment.fill(0);
  segment.write(to, 'latin1');
}

/**
 * Overwrites a NUL-terminated string by another of the same length, everywhere that it stands as a whole (glibc's
 * loader holds its search path twice). Throws `E_INVALID` unless that is so exactly `times` times.
 */
export function replaceString(bytes: Buffer, from: string, to: string, times: number, what: string): void {
  if (from.length !== to.length) {
    throw damaged(what, `${JSON.stringify(to)} does not have the length of ${JSON.stringify(from)}`);
  }
  const wanted = Buffer.from(`\0${from}\0`, 'latin1');
  const places: number[] = [];
  // The final NUL may be the one before the next string.
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + wanted.length - 1)) places.push(at + 1);
  if (places.length !== times) {
    throw damaged(what, `it contains ${JSON.stringify(from)} ${places.length} times, not ${times}`);
  }
  for (const place of places) bytes.write(to, place, 'latin1');
}

/**
 * Applies a program's relative relocations in the file and takes them off the loader's list; returns how many there
 * were. A program of a fixed address (ET_EXEC) is loaded where it was linked for, so what each of them stores is its
 * addend, known now: every start otherwise writes them all, and so gets a private copy of each page that has one.
 * Throws `E_INVALID` unless it is such a program for arm64 whose relative relocations stand first (`DT_RELACOUNT`).
 */
export function applyRelativeRelocations(bytes: Buffer, what: string): number {
  const { programs } = header(bytes, what);
  if (bytes.readUInt16LE(16) !== ET_EXEC || bytes.readUInt16LE(18) !== EM_AARCH64) {
    throw damaged(what, 'it is not an arm64 program of a fixed address');
  }
  const segments = rows(bytes, programs, 56, what).map((row) => ({
    type: row.readUInt32LE(0),
    offset: Number(row.readBigUInt64LE(8)),
    address: Number(row.readBigUInt64LE(16)),
    fileBytes: Number(row.readBigUInt64LE(32)),
  }));
  const locate = (address: number, size: number): Buffer => {
    const segment = segments.find(
      (one) => one.type === PT_LOAD && address >= one.address && address + size <= one.address + one.fileBytes,
    );
    if (segment === undefined) throw damaged(what, 'a relocation lies outside of what is loaded');
    return slice(bytes, segment.offset + address - segment.address, size, what);
  };
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) throw damaged(what, 'it is not linked dynamically');
  const entry = (tag: bigint): Buffer => {
    const table = slice(bytes, dynamic.offset, dynamic.fileBytes, what);
    for (let at = 0; at + 16 <= table.length; at += 16) {
      if (table.readBigUInt64LE(at) === tag) return table.subarray(at + 8, at + 16);
    }
    throw damaged(what, `its dynamic section has no entry ${tag}`);
  };
  const [address, size, count] = [entry(DT_RELA), entry(DT_RELASZ), entry(DT_RELACOUNT)];
  const relatives = Number(count.readBigUInt64LE());
  const table = locate(Number(address.readBigUInt64LE()), Number(size.readBigUInt64LE()));
  if (relatives * RELA_BYTES > table.length) throw damaged(what, 'it counts more relocations than it has');
  for (let at = 0; at < relatives * RELA_BYTES; at += RELA_BYTES) {
    if (table.readBigUInt64LE(at + 8) !== R_AARCH64_RELATIVE) throw damaged(what, 'its relocations are not in order');
    locate(Number(table.readBigUInt64LE(at)), 8).writeBigUInt64LE(table.readBigUInt64LE(at + 16));
  }
  address.writeBigUInt64LE(address.readBigUInt64LE() + BigInt(relatives * RELA_BYTES));
  size.writeBigUInt64LE(BigInt(table.length - relatives * RELA_BYTES));
  count.writeBigUInt64LE(0n);
  return relatives;
}

function cString(bytes: Buffer, start: number): string {
  const end = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, end < 0 ? bytes.length : end);
}

function damaged(what: string, why: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `${what} is not as expected.`,
    why: `${why[0]?.toUpperCase()}${why.slice(1)}.`,
    fix: 'Debian’s package may have changed: update rosetta-vm, or report it.',
    facts: { file: what },
  });
}
