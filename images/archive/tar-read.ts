/** Reads tar streams as dpkg-deb writes them: ustar with GNU long names (tar(5)), and pax headers' path, linkpath and size. */
import { RosettaVmError } from '../../host/errors.ts';
import { type ByteReader, byteReader } from './bytes.ts';
import type { Entry } from './entry.ts';

const BLOCK = 512;
/** Longest name or extended header that is taken, bytes; Linux's PATH_MAX is 4,096. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Largest single file that is taken, bytes: contents are held in memory one at a time. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** An entry whose content is read only when it is asked for, before the next entry is. */
export interface TarEntry {
  readonly path: string;
  readonly type: Entry['type'];
  readonly bytes: number;
  /** The whole entry, its content included. */
  load(): Promise<Entry>;
}

/**
 * Yields the entries in order. Device nodes and FIFOs, which no package that we take contains, and paths that would
 * leave the root throw `E_INVALID`; so does a wrong checksum.
 */
export async function* readTar(chunks: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<TarEntry> {
  const reader = byteReader(chunks, what);
  try {
    yield* readEntries(reader, what);
  } finally {
    // An archive ends before its stream does, and a consumer may stop even earlier.
    await reader.close();
  }
}

async function* readEntries(reader: ByteReader, what: string): AsyncGenerator<TarEntry> {
  const invalid = (why: string): RosettaVmError =>
    new RosettaVmError('E_INVALID', {
      what: `${what} cannot be unpacked.`,
      why: `${why}.`,
      fix: 'Choose another mirror with `--mirror URL`; if it stays, report it.',
    });
  let longName: string | null = null;
  let longTarget: string | null = null;
  let pax: ReadonlyMap<string, string> = new Map();

  for (;;) {
    const header = await reader.read(BLOCK);
    if (header === null || header.every((byte) => byte === 0)) return;
    if (checksum(header) !== numeric(header, 148, 8)) throw invalid('A header’s checksum is wrong');
    const flag = String.fromCharCode(header[156] ?? 0);
    const paxSize = pax.get('size');
    const size = paxSize === undefined ? numeric(header, 124, 12) : Number(paxSize);
    if (!Number.isSafeInteger(size) || size < 0) throw invalid('An entry has no proper size');

    if (flag === 'L' || flag === 'K' || flag === 'x' || flag === 'g') {
      if (size > MAX_HEADER_BYTES) throw invalid(`A name has ${size} bytes`);
      const data = (await reader.read(size)) ?? Buffer.alloc(0);
      await reader.skip(padding(size));
      if (flag === 'L') longName = cString(data);
      else if (flag === 'K') longTarget = cString(data);
      else if (flag === 'x') pax = paxRecords(data);
      continue;
    }

    const name = pax.get('path') ?? longName ?? shortName(header);
    const rawTarget = pax.get('linkpath') ?? longTarget ?? cString(header.subarray(157, 257));
    longName = null;
    longTarget = null;
    pax = new Map();
    const path = safePath(name);
    if (path === null) throw invalid(`${JSON.stringify(name)} would be written outside of the root`);
    const type = TYPES[flag];
    if (type === undefined) throw invalid(`${JSON.stringify(name)} is of the type ${JSON.stringify(flag)}`);
    if (type !== 'file' && type !== 'directory' && rawTarget === '')
      throw invalid(`${JSON.stringify(name)} links to nothing`);
    const target = type === 'hardlink' ? safePath(rawTarget) : rawTarget;
    if (target === null)
      throw invalid(`${JSON.stringify(name)} is a link to ${JSON.stringify(rawTarget)}, outside of the root`);
    const bytes = type === 'file' ? size : 0;
    if (bytes > MAX_FILE_BYTES) throw invalid(`${JSON.stringify(name)} has ${bytes} bytes`);

    const common = {
      path,
      mode: numeric(header, 100, 8) & 0o7777,
      uid: numeric(header, 108, 8),
      gid: numeric(header, 116, 8),
    };
    let loaded = false;
    yield {
      path,
      type,
      bytes,
      async load() {
        if (type === 'directory') return { ...common, type };
        if (type !== 'file') return { ...common, type, target };
        loaded = true;
        return { ...common, type, content: (await reader.read(bytes)) ?? Buffer.alloc(0) };
      },
    };
    await reader.skip((loaded ? 0 : size) + padding(size));
  }
}

const TYPES: Readonly<Record<string, Entry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** Sum of the header's bytes, the checksum field counted as spaces. */
export function checksum(header: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK; index++) if (index < 148 || index >= 156) sum += header[index] ?? 0;
  return sum;
}

/** Octal text, or GNU's base-256 for what does not fit. NaN when it is neither. */
function numeric(header: Buffer, start: number, length: number): number {
  const first = header[start] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (let index = start + 1; index < start + length; index++) value = value * 256 + (header[index] ?? 0);
    return value;
  }
  const text = cString(header.subarray(start, start + length)).trim();
  return text === '' ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** The prefix field holds something else in GNU's own format, whose magic is `ustar  `. */
function shortName(header: Buffer): string {
  const name = cString(header.subarray(0, 100));
  const posix = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = posix ? cString(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** pax(1): `<length> <key>=<value>\n`, the length counting the whole record. */
function paxRecords(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number.parseInt(data.toString('latin1', at, space), 10);
    if (space < 0 || !(length > space - at + 1) || at + length > data.length) break;
    const record = data.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** Normalised relative path, or null when it leaves the root. `./` and a trailing slash are customary. */
export function safePath(name: string): string | null {
  if (name.startsWith('/') || name.includes('\0')) return null;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : parts.join('/');
}
