/** Binary packages: an ar archive of debian-binary, control.tar and data.tar (deb(5)). */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { readTar, type TarEntry } from '../archive/tar-read.ts';
import { compressionOf, decompress } from './xz.ts';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER_BYTES = 60;
/** A .deb has three members, and deb(5) allows private ones in between. */
const MAX_MEMBERS = 16;

/** The files of a package, in its order. `name` is for messages. Throws `E_INVALID` for anything that is no .deb. */
export async function* packageFiles(file: string, name: string): AsyncGenerator<TarEntry> {
  const member = await dataMember(file, name);
  const compressed = createReadStream(file, {
    start: member.start,
    end: member.start + member.bytes - 1,
    highWaterMark: 256 * 1024,
  });
  yield* readTar(decompress(compressed, member.compression), name);
}

async function dataMember(file: string, name: string) {
  const invalid = (why: string): RosettaVmError =>
    new RosettaVmError('E_INVALID', {
      what: `${name} is not a Debian package.`,
      why: `${why}.`,
      fix: 'Choose another mirror with `--mirror URL`; if it stays, report it.',
      facts: { file },
    });
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if ((await bytesAt(handle, 0, AR_MAGIC.length)).toString('latin1') !== AR_MAGIC)
      throw invalid('It is no ar archive');
    let at = AR_MAGIC.length;
    for (let count = 0; count < MAX_MEMBERS && at + AR_HEADER_BYTES <= size; count++) {
      const header = (await bytesAt(handle, at, AR_HEADER_BYTES)).toString('latin1');
      const bytes = Number(header.slice(48, 58).trim() || Number.NaN);
      const member = header.slice(0, 16).trim().replace(/\/$/, '');
      const start = at + AR_HEADER_BYTES;
      if (header.slice(58) !== '`\n' || !Number.isSafeInteger(bytes) || bytes < 0)
        throw invalid('A member’s header is damaged');
      if (start + bytes > size) throw invalid(`Its member ${JSON.stringify(member)} goes beyond its end`);
      if (count === 0 && member !== 'debian-binary') throw invalid('Its first member is not debian-binary');
      if (member === 'data.tar' || member.startsWith('data.tar.')) {
        const compression = compressionOf(member);
        if (compression === null)
          throw invalid(`Its content is compressed in an unknown way, ${JSON.stringify(member)}`);
        return { start, bytes, compression };
      }
      // Members begin at even offsets.
      at = start + bytes + (bytes % 2);
    }
    throw invalid('It has no data.tar');
  } finally {
    await handle.close();
  }
}

async function bytesAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
