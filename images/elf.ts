/** Reads and edits 64-bit little-endian ELF files (elf(5)), in place: nothing moves, so no offset changes. */
import { RosettaVmError } from '../host/errors.ts';

const PT_INTERP = 3;

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
