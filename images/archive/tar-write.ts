/**
 * Writes a tar archive whose bytes depend on its entries alone: one date, no user names, no device numbers.
 * Long names use GNU's `L` and `K` entries, which GNU tar, bsdtar and busybox all read (busybox ignores pax headers).
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { RosettaVmError } from '../../host/errors.ts';
import type { Entry } from './entry.ts';
import { checksum } from './tar-read.ts';

const BLOCK = 512;
/** Writes are gathered to about this many bytes. */
const BUFFER_BYTES = 1024 * 1024;

export interface TarWriter {
  add(entry: Entry): Promise<void>;
  /** Ends the archive, syncs it and closes the file. */
  finish(): Promise<{ readonly sha256: string; readonly bytes: number }>;
  /** Closes the file without an end; for failures. */
  abandon(): Promise<void>;
}

/** Creates `file`. `date` (Unix seconds) becomes every entry's modification time. */
export async function writeTar(file: string, date: number): Promise<TarWriter> {
  const handle: FileHandle = await open(file, 'wx', 0o644);
  const hash = createHash('sha256');
  let bytes = 0;
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;

  async function flush(): Promise<void> {
    const block = Buffer.concat(gathered);
    gathered = [];
    gatheredBytes = 0;
    hash.update(block);
    for (let at = 0; at < block.length; ) at += (await handle.write(block, at)).bytesWritten;
  }
  async function put(data: Buffer): Promise<void> {
    gathered.push(data);
    gatheredBytes += data.length;
    bytes += data.length;
    if (gatheredBytes >= BUFFER_BYTES) await flush();
  }
  async function putPadded(data: Buffer): Promise<void> {
    await put(data);
    const rest = data.length % BLOCK;
    if (rest !== 0) await put(Buffer.alloc(BLOCK - rest));
  }
  return {
    async add(entry) {
      const name = Buffer.from(
        entry.type === 'directory' ? `./${entry.path}${entry.path === '' ? '' : '/'}` : `./${entry.path}`,
      );
      const target = Buffer.from(
        entry.type === 'symlink' ? entry.target : entry.type === 'hardlink' ? `./${entry.target}` : '',
      );
      for (const [flag, text] of [
        ['K', target],
        ['L', name],
      ] as const) {
        // The field may be filled to its last byte, without a NUL.
        if (text.length <= 100) continue;
        const data = Buffer.concat([text, Buffer.alloc(1)]);
        await put(
          encode({ name: Buffer.from('././@LongLink'), mode: 0, uid: 0, gid: 0, size: data.length, date: 0, flag }),
        );
        await putPadded(data);
      }
      const { mode, uid, gid } = entry;
      const size = entry.type === 'file' ? entry.content.length : 0;
      await put(encode({ name, mode, uid, gid, size, date, flag: FLAGS[entry.type], target }));
      if (entry.type === 'file') await putPadded(entry.content);
    },
    async finish() {
      await put(Buffer.alloc(2 * BLOCK));
      await flush();
      await handle.sync();
      await handle.close();
      return { sha256: hash.digest('hex'), bytes };
    },
    abandon: () => handle.close(),
  };
}

const FLAGS = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;

interface Header {
  readonly name: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly date: number;
  readonly flag: string;
  readonly target?: Buffer;
}

function encode(header: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void => {
    const text = value.toString(8);
    if (!Number.isSafeInteger(value) || value < 0 || text.length > digits) {
      throw new RosettaVmError('E_INVALID', {
        what: 'An archive cannot be written.',
        why: `${header.name.toString()} has a number, ${value}, that tar's header cannot hold.`,
        fix: 'Remove the file from the image.',
      });
    }
    block.write(text.padStart(digits, '0'), at, 'latin1');
  };
  header.name.copy(block, 0, 0, 100);
  octal(header.mode, 100, 7);
  octal(header.uid, 108, 7);
  octal(header.gid, 116, 7);
  octal(header.size, 124, 11);
  octal(header.date, 136, 11);
  block.write(header.flag, 156, 'latin1');
  header.target?.copy(block, 157, 0, 100);
  // GNU's magic and version in one, since the archive uses GNU's long names.
  block.write('ustar  \0', 257, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
