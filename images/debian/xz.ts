/** Decompression of what Debian ships: xz through WebAssembly (no native code, no host tool), gzip and zstd through Node. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import xz from 'xz-decompress';
import { RosettaVmError } from '../../host/errors.ts';

export type Compression = 'none' | 'gzip' | 'xz';

/** By the file name's ending. */
export function compressionOf(name: string): Compression | null {
  if (name.endsWith('.xz')) return 'xz';
  if (name.endsWith('.gz')) return 'gzip';
  return name.endsWith('.tar') || !name.includes('.') ? 'none' : null;
}

/**
 * Chunks of the plain content. The consumer bounds the total: stopping early ends the decoder.
 *
 * xz-decompress serves one stream at a time in a process; starting a second while a first is being read would wait for
 * ever inside one reader, so nothing here may decompress within the loop over another's chunks.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* source;
    return;
  }
  if (compression === 'gzip') {
    yield* Readable.from(source).pipe(createGunzip());
    return;
  }
  const reader = new xz.XzReadableStream(
    Readable.toWeb(Readable.from(source, { objectMode: false })) as ReadableStream,
  ).getReader() as ReadableStreamDefaultReader<Uint8Array>;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    // Lets the next stream begin. xz-decompress 0.2.3 throws when it had come to its end with chunks left to read.
    await reader.cancel().catch(() => {});
  }
}

/** The whole content of a compressed file, exactly `bytes` long. Throws `E_VERIFY` when it is not. */
export async function readCompressed(
  file: string,
  compression: Compression,
  bytes: number,
  name: string,
): Promise<Buffer> {
  const content = Buffer.allocUnsafe(bytes);
  let at = 0;
  for await (const chunk of decompress(createReadStream(file, { highWaterMark: 1024 * 1024 }), compression)) {
    if (at + chunk.length > bytes) throw wrongSize(name, bytes);
    content.set(chunk, at);
    at += chunk.length;
  }
  if (at !== bytes) throw wrongSize(name, bytes);
  return content;
}

function wrongSize(name: string, bytes: number): RosettaVmError {
  return new RosettaVmError('E_VERIFY', {
    what: `${name} does not have the size that its signed index says.`,
    why: `It should unpack to ${bytes} bytes and does not.`,
    fix: 'Choose another mirror with `--mirror URL`.',
  });
}
