/** ELF files that say what a test wants them to say; only the router's kind of reader takes them for programs. */

export interface ElfParts {
  readonly interpreter?: string;
  readonly buildId?: Buffer;
  /** Bits of GNU_PROPERTY_X86_ISA_1_NEEDED. */
  readonly isaNeeded?: number;
  /** PT_LOAD segments without content: address, size and alignment, bytes. */
  readonly loads?: readonly (readonly [address: number, bytes: number, alignment: number])[];
  /** EM_X86_64 by default. */
  readonly machine?: number;
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;

interface Segment {
  readonly type: number;
  readonly align: number;
  readonly content: Buffer;
  readonly load?: { readonly address: number; readonly bytes: number };
}

/** One segment for each part (elf(5)). */
export function elfFile({ interpreter, buildId, isaNeeded, loads = [], machine = 62 }: ElfParts): Buffer {
  const segments: Segment[] = loads.map(([address, bytes, align]) => ({
    type: 1,
    align,
    content: Buffer.alloc(0),
    load: { address, bytes },
  }));
  if (interpreter !== undefined) segments.push({ type: 3, align: 1, content: Buffer.from(`${interpreter}\0`) });
  if (buildId !== undefined) segments.push({ type: 4, align: 4, content: note(3, buildId, 4) });
  if (isaNeeded !== undefined) segments.push({ type: 4, align: 8, content: note(5, isaProperty(isaNeeded), 8) });
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('7f454c46020101', 0, 'hex');
  header.writeUInt16LE(3, 16); // ET_DYN
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  header.writeUInt16LE(HEADER_BYTES, 52);
  header.writeUInt16LE(SEGMENT_BYTES, 54);
  header.writeUInt16LE(segments.length, 56);
  let offset = HEADER_BYTES + segments.length * SEGMENT_BYTES;
  const table = segments.map(({ type, align, content, load }) => {
    const row = Buffer.alloc(SEGMENT_BYTES);
    row.writeUInt32LE(type, 0);
    row.writeUInt32LE(4, 4); // PF_R
    row.writeBigUInt64LE(BigInt(offset), 8);
    if (load !== undefined) {
      row.writeBigUInt64LE(BigInt(load.address), 16);
      row.writeBigUInt64LE(BigInt(load.address), 24);
      row.writeBigUInt64LE(BigInt(load.bytes), 40);
    }
    row.writeBigUInt64LE(BigInt(content.length), 32);
    row.writeBigUInt64LE(BigInt(align), 48);
    offset += content.length;
    return row;
  });
  return Buffer.concat([header, ...table, ...segments.map(({ content }) => content)]);
}

function note(type: number, data: Buffer, align: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(4, 0);
  head.writeUInt32LE(data.length, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, Buffer.from('GNU\0'), data, Buffer.alloc((align - (data.length % align)) % align)]);
}

function isaProperty(bits: number): Buffer {
  const property = Buffer.alloc(16);
  property.writeUInt32LE(0xc0008002, 0);
  property.writeUInt32LE(4, 4);
  property.writeUInt32LE(bits, 8);
  return property;
}
