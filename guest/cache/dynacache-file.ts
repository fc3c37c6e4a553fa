/**
 * box64's file of translations. The layout was learned from box64's src/tools/dynacache.c (releases 0.4.3, file version
 * 3, and 0.4.5, file version 6): a header of fixed fields, the translated file's path, a table of blocks, two tables of
 * addresses, padding to a page; then the blocks, one after the other. Numbers are little endian.
 */
import { type FileHandle, open } from 'node:fs/promises';

const SIGNATURE = 'DynaCache\0';
/** Two bytes; C packs the bit field right behind the signature. */
const VERSION_OFFSET = 10;
const SETTINGS_OFFSET = 32;
const PAGE_SIZE_OFFSET = 40;
/** Offset of four 32-bit counts (path length, blocks, locked and unaligned addresses); the path follows them. */
const COUNTS_OFFSET: Readonly<Record<number, number>> = { 3: 80, 6: 112 };
const COUNTS_BYTES = 16;
const ADDRESS_BYTES = 8;
/** Pointer, size, free size, compressed size (64 bits each), type (8 bits), padding. */
const BLOCK_BYTES = 40;
/** PATH_MAX of Linux (limits.h). */
const MAX_PATH_BYTES = 4096;
/** Longest header that is believed: the largest program of a Debian tree has some hundred blocks. */
const MAX_HEADER_BYTES = 64 * 1024 * 1024;
const PREFIX_BYTES = 128 + MAX_PATH_BYTES;

/** Reads the path of the program that a file belongs to; undefined when the file does not say. */
export async function readProgram(path: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const prefix = parsePrefix(await readAt(file, 0, PREFIX_BYTES));
    return typeof prefix === 'string' ? undefined : prefix.program;
  } finally {
    await file.close();
  }
}

/**
 * Why a file is not a whole file of translations; undefined when it is, or when it is of a version not known here:
 * that is box64's to judge, which ignores what it does not understand. Version 3 has no checksum of the code.
 */
export async function checkDynacacheFile(path: string, name: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const prefix = parsePrefix(await readAt(file, 0, PREFIX_BYTES));
    if (typeof prefix === 'string') return prefix;
    if (prefix.version === 'unknown') return undefined;
    if (name !== expectedName(prefix)) return 'Its name does not fit the program that it is for.';
    if (prefix.headerBytes > Math.min(size, MAX_HEADER_BYTES)) return 'It ends inside its header.';
    const table = await readAt(file, prefix.tableOffset, prefix.blocks * BLOCK_BYTES);
    const expected = prefix.headerBytes + blockBytes(table, prefix.pageSize);
    return expected === size ? undefined : `It has ${size} bytes where its table says ${expected}.`;
  } finally {
    await file.close();
  }
}

interface Prefix {
  readonly version: number | 'unknown';
  readonly program: string | undefined;
  readonly settings: bigint;
  readonly pageSize: number;
  readonly blocks: number;
  readonly tableOffset: number;
  readonly headerBytes: number;
}

/** The fixed fields and the path, or why they cannot be. */
function parsePrefix(bytes: Buffer): Prefix | string {
  if (bytes.length < VERSION_OFFSET + 2) return 'It is too short.';
  if (bytes.toString('latin1', 0, SIGNATURE.length) !== SIGNATURE) return 'It does not begin with the signature.';
  const version = bytes.readUInt16LE(VERSION_OFFSET);
  const counts = COUNTS_OFFSET[version];
  if (counts === undefined) return UNKNOWN_VERSION;
  const pathOffset = counts + COUNTS_BYTES;
  if (bytes.length < pathOffset) return 'It is too short.';
  const pathBytes = bytes.readUInt32LE(counts);
  const blocks = bytes.readUInt32LE(counts + 4);
  const addresses = bytes.readUInt32LE(counts + 8) + bytes.readUInt32LE(counts + 12);
  const pageSize = Number(bytes.readBigUInt64LE(PAGE_SIZE_OFFSET));
  const pathEnd = pathOffset + pathBytes;
  if (pathBytes === 0 || pathBytes > MAX_PATH_BYTES || bytes[pathEnd] !== 0) return 'Its path is not valid.';
  if (blocks === 0 || ![4096, 16_384, 65_536].includes(pageSize)) return 'Its header is not valid.';
  return {
    version,
    program: bytes.toString('utf8', pathOffset, pathEnd),
    settings: bytes.readBigUInt64LE(SETTINGS_OFFSET),
    pageSize,
    blocks,
    tableOffset: pathEnd + 1,
    headerBytes: alignUp(pathEnd + 1 + blocks * BLOCK_BYTES + addresses * ADDRESS_BYTES, pageSize),
  };
}

const UNKNOWN_VERSION: Prefix = {
  version: 'unknown',
  program: undefined,
  settings: 0n,
  pageSize: 0,
  blocks: 0,
  tableOffset: 0,
  headerBytes: 0,
};

/** Bytes of all blocks in the file: compressed ones are padded to a page, others are as long as in memory. */
function blockBytes(table: Buffer, pageSize: number): number {
  let total = 0;
  for (let offset = 0; offset + BLOCK_BYTES <= table.length; offset += BLOCK_BYTES) {
    const compressed = table.readUInt8(offset + 32) !== 0;
    const bytes = Number(table.readBigUInt64LE(offset + (compressed ? 24 : 8)));
    total += compressed ? alignUp(bytes, pageSize) : bytes;
  }
  return total;
}

/** `<base name in lower case>-<settings, hexadecimal>-<hash of the path>.box64` */
function expectedName({ program = '', settings }: Prefix): string {
  // ASCII only, as C's tolower does in the C locale.
  const base = program.slice(program.lastIndexOf('/') + 1).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return `${base}-${settings.toString(16)}-${pathHash(program)}.box64`;
}

/** khash's string hash in 32 bits; char is unsigned on arm64. */
function pathHash(path: string): number {
  let hash = 0;
  for (const byte of Buffer.from(path)) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash >>> 0;
}

const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
