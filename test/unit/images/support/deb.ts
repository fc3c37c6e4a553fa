/** Small files of the kinds that packages hold, made without the code under test. */
import { gzipSync } from 'node:zlib';

export interface TarMember {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly linkTarget?: string;
  /** Type flag of the header; default: `2` with a target, `5` for a name that ends in a slash, else `0`. */
  readonly flag?: string;
  readonly mode?: number;
}

/** One ustar archive; a member is written as it is said, sensible or not. */
export function makeTar(members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)]);
}

function tarMember({ name, content = '', linkTarget = '', flag, mode = 0o755 }: TarMember): Buffer {
  const data = Buffer.from(content);
  const header = Buffer.alloc(512);
  const type = flag ?? (linkTarget !== '' ? '2' : name.endsWith('/') ? '5' : '0');
  header.write(name, 0);
  header.write(`${mode.toString(8).padStart(7, '0')}\0${'0'.repeat(7)}\0${'0'.repeat(7)}\0`, 100);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0`, 124);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write(linkTarget, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

/** A .deb of these files (deb(5)). */
export function makeDeb(members: readonly TarMember[]): Buffer {
  return makeAr([
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', gzipSync(makeTar([]))],
    ['data.tar.gz', gzipSync(makeTar(members))],
  ]);
}

export function makeAr(members: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [Buffer.from('!<arch>\n')];
  for (const [name, content] of members) {
    const fields = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '100644'.padEnd(8)];
    parts.push(Buffer.from(`${fields.join('')}${String(content.length).padEnd(10)}\`\n`), content);
    if (content.length % 2 === 1) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** A 64-bit little-endian ELF file with an interpreter and with sections, as asked for. */
export function makeElf(parts: { interpreter?: string; sections?: Readonly<Record<string, string>> }): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  const interpreter = Buffer.from(parts.interpreter === undefined ? '' : `${parts.interpreter}\0`, 'latin1');
  const program = Buffer.alloc(parts.interpreter === undefined ? 0 : 56);
  if (program.length > 0) {
    program.writeUInt32LE(3, 0);
    program.writeBigUInt64LE(BigInt(64 + 56), 8);
    program.writeBigUInt64LE(BigInt(interpreter.length), 32);
    header.writeBigUInt64LE(64n, 32);
    header.writeUInt16LE(56, 54);
    header.writeUInt16LE(1, 56);
  }
  const sections = Object.entries(parts.sections ?? {});
  if (sections.length === 0) return Buffer.concat([header, program, interpreter]);

  const names = ['', ...sections.map(([name]) => name), '.shstrtab'];
  const contents = [...sections.map(([, content]) => Buffer.from(content, 'latin1')), Buffer.from(names.join('\0'))];
  let at = 64 + program.length + interpreter.length;
  const rows = contents.map((content, index) => {
    const row = Buffer.alloc(64);
    row.writeUInt32LE(names.slice(0, index + 1).join('\0').length + 1, 0);
    row.writeBigUInt64LE(BigInt(at), 24);
    row.writeBigUInt64LE(BigInt(content.length), 32);
    at += content.length;
    return row;
  });
  header.writeBigUInt64LE(BigInt(at), 40);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(rows.length + 1, 60);
  header.writeUInt16LE(rows.length, 62);
  return Buffer.concat([header, program, interpreter, ...contents, Buffer.alloc(64), ...rows]);
}

export interface FixedProgram {
  readonly interpreter: string;
  /** `[where, what, type]` of each relocation, in pointers of the data that follow; default type: relative. */
  readonly relocations: readonly (readonly [slot: number, addend: bigint, type?: bigint])[];
  /** DT_RELACOUNT. */
  readonly relative: number;
  readonly slots: number;
  readonly type?: number;
}

/** Address that {@link makeFixedProgram}'s only segment is loaded at. */
export const FIXED_ADDRESS = 0x34800000;

/** An arm64 program linked for a fixed address: headers, interpreter, relocations, dynamic section, data. */
export function makeFixedProgram(parts: FixedProgram): { readonly bytes: Buffer; readonly dataAt: number } {
  const interpreter = Buffer.from(`${parts.interpreter}\0`.padEnd(64, '\0'), 'latin1');
  const relocationsAt = 64 + 3 * 56 + interpreter.length;
  const dynamicAt = relocationsAt + parts.relocations.length * 24;
  const dataAt = dynamicAt + 4 * 16;
  const bytes = Buffer.alloc(dataAt + parts.slots * 8);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeUInt16LE(parts.type ?? 2, 16);
  bytes.writeUInt16LE(183, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(3, 56);
  const segments = [
    [3, 64 + 3 * 56, parts.interpreter.length + 1],
    [1, 0, bytes.length],
    [2, dynamicAt, 4 * 16],
  ] as const;
  for (const [index, [type, at, size]] of segments.entries()) {
    const row = bytes.subarray(64 + index * 56);
    row.writeUInt32LE(type, 0);
    row.writeBigUInt64LE(BigInt(at), 8);
    row.writeBigUInt64LE(BigInt(FIXED_ADDRESS + at), 16);
    row.writeBigUInt64LE(BigInt(size), 32);
  }
  interpreter.copy(bytes, 64 + 3 * 56);
  for (const [index, [slot, addend, type = 1027n]] of parts.relocations.entries()) {
    const at = relocationsAt + index * 24;
    bytes.writeBigUInt64LE(BigInt(FIXED_ADDRESS + dataAt + slot * 8), at);
    bytes.writeBigUInt64LE(type, at + 8);
    bytes.writeBigUInt64LE(addend, at + 16);
  }
  const dynamic: readonly (readonly [bigint, number])[] = [
    [7n, FIXED_ADDRESS + relocationsAt],
    [8n, parts.relocations.length * 24],
    [0x6ffffff9n, parts.relative],
  ];
  for (const [index, [tag, value]] of dynamic.entries()) {
    bytes.writeBigUInt64LE(tag, dynamicAt + index * 16);
    bytes.writeBigUInt64LE(BigInt(value), dynamicAt + index * 16 + 8);
  }
  return { bytes, dataAt };
}
