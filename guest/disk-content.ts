/** What is on a disk: only one that nobody has written to is ever formatted, and only a file system of ours is used. */
import { open } from 'node:fs/promises';
import { RosettaVmError } from '../host/errors.ts';
import type { RunCommand } from './agent/command.ts';

/** Label of the file system that the agent makes. */
export const DATA_LABEL = 'rvm-data';

/** ext4's superblock starts at 1024; its magic is 0x38 into it, the label 0x78 (Documentation/filesystems/ext4). */
const SUPERBLOCK_OFFSET = 1024;
const MAGIC_OFFSET = SUPERBLOCK_OFFSET + 0x38;
const MAGIC = 0xef53;
const LABEL_OFFSET = SUPERBLOCK_OFFSET + 0x78;
const LABEL_BYTES = 16;
/**
 * Looked through at the start and at the end: partition tables, and file systems and volume managers whose marks blkid
 * knows or does not know, have something there.
 */
const PROBE_BYTES = 1024 * 1024;
/** blkid(8): nothing was recognised. */
const NOTHING_FOUND = 2;
const BLKID_LIMIT_MS = 60_000;

/** Throws `E_STATE` for a disk that holds something else; it is only read. `bytes`: its length. */
export async function diskContent(device: string, bytes: number, run: RunCommand): Promise<'blank' | 'ours'> {
  const { start, end } = await readEnds(device, bytes);
  const label = ext4Label(start);
  if (label === DATA_LABEL) return 'ours';
  const { code, stdout } = await run(['blkid', '--probe', device], BLKID_LIMIT_MS);
  const isBlank = isZero(start) && isZero(end) && code === NOTHING_FOUND;
  if (isBlank) return 'blank';
  throw foreign(device, label, /\b(?:PT)?TYPE="([^"]+)"/.exec(stdout)?.[1]);
}

async function readEnds(device: string, bytes: number): Promise<{ readonly start: Buffer; readonly end: Buffer }> {
  const file = await open(device, 'r');
  try {
    const read = async (position: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, position);
      return buffer.subarray(0, bytesRead);
    };
    return { start: await read(0), end: await read(Math.max(0, bytes - PROBE_BYTES)) };
  } finally {
    await file.close();
  }
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/** Undefined where there is no ext4. */
function ext4Label(start: Buffer): string | undefined {
  if (start.length < LABEL_OFFSET + LABEL_BYTES || start.readUInt16LE(MAGIC_OFFSET) !== MAGIC) return undefined;
  return start.toString('latin1', LABEL_OFFSET, LABEL_OFFSET + LABEL_BYTES).replace(/\0.*$/s, '');
}

function foreign(device: string, label: string | undefined, kind: string | undefined): RosettaVmError {
  const isExt4 = label !== undefined;
  return new RosettaVmError('E_STATE', {
    what: `The data disk ${device} holds something that is not ours.`,
    why: isExt4
      ? `It is an ext4 file system with the label ${JSON.stringify(label)}, not ${JSON.stringify(DATA_LABEL)}.`
      : `It is neither blank nor a file system of rosetta-vm${kind === undefined ? '' : `: ${kind}`}.`,
    fix: isExt4
      ? `Attach another disk; this one is left as it is. If it may be used, label it: e2label DEVICE ${DATA_LABEL}`
      : 'Attach another disk; this one is left as it is. If nothing on it is needed, empty it and start again.',
    facts: { device, ...(kind === undefined ? {} : { kind }) },
  });
}
