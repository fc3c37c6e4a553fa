/**
 * Downloads by digest. A file is in the cache, as `<downloads>/sha256/<hex>`, only when its bytes had that digest;
 * until then it is a `.part` that a later run resumes.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { asRosettaVmError, RosettaVmError } from '../../host/errors.ts';
import { syncFolder } from '../../host/files.ts';
import { ignoreProgress, type ProgressSink } from '../../host/progress.ts';
import { isAlive } from '../workspace.ts';
import { fetchBody, type Pace, patientPace } from './http.ts';

export interface Wanted {
  /** For messages: a package's or an index file's name. */
  readonly name: string;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** Tried in turn. */
  readonly urls: readonly string[];
}

export interface DownloadOptions {
  /** The downloads folder of the store. */
  readonly downloads: string;
  /** Stage of the progress events, such as `image.download`, and its title for people. */
  readonly id: string;
  readonly title: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
  readonly pace?: Pace | undefined;
}

/** Enough to hide the latency of small packages, few enough for a public mirror. */
const PARALLEL = 6;
const MAX_ATTEMPTS = 5;

/**
 * Brings every file into the cache and answers with its path there, in the order asked. Progress is one stage over
 * the bytes that are missing. Throws `E_NETWORK`, `E_VERIFY`, `E_DISK_FULL` or `E_ABORTED`; what was complete stays.
 */
export async function download(files: readonly Wanted[], options: DownloadOptions): Promise<string[]> {
  const { downloads, id, title, onProgress = ignoreProgress } = options;
  const folder = path.join(downloads, 'sha256');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const started = performance.now();
  const target = (file: Wanted): string => path.join(folder, file.sha256);
  const limit = pLimit(PARALLEL);
  const present = await Promise.all(files.map((file) => limit(() => isIntact(target(file), file))));
  // The same file may be asked for twice, say by two packages of the same source.
  const missing = files.filter(
    (file, index) => !present[index] && files.findIndex((other) => other.sha256 === file.sha256) === index,
  );
  if (missing.length === 0) return files.map(target);

  const totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
  let doneBytes = 0;
  const advance = (bytes: number): void => {
    doneBytes += bytes;
    onProgress({ kind: 'bytes', id, doneBytes, totalBytes });
  };
  onProgress({ kind: 'begin', id, title, totalBytes });
  // The first failure ends the others: nobody waits for the rest of a build that cannot succeed.
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  try {
    const results = await Promise.allSettled(
      missing.map((file) =>
        limit(async () => {
          try {
            await fetchOne(file, target(file), { signal, pace: options.pace ?? patientPace, advance });
          } catch (error) {
            failed.abort();
            throw error;
          }
        }),
      ),
    );
    const reasons = results.flatMap((one) => (one.status === 'rejected' ? [asRosettaVmError(one.reason)] : []));
    // The one that failed first is the cause; those it ended report E_ABORTED.
    const cause = reasons.find(({ code }) => code !== 'E_ABORTED') ?? reasons[0];
    if (cause !== undefined) throw cause;
  } finally {
    onProgress({ kind: 'end', id, ms: performance.now() - started });
  }
  return files.map(target);
}

/** A file in the cache whose bytes are not its name's is removed and counts as missing. */
async function isIntact(file: string, { sha256, bytes }: Wanted): Promise<boolean> {
  const size = await stat(file).then(
    (found) => found.size,
    () => null,
  );
  if (size === null) return false;
  if (size === bytes && (await sha256Of(file)) === sha256) return true;
  await rm(file, { force: true });
  return false;
}

/** SHA-256 of a file, hexadecimal. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest('hex');
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly pace: Pace;
  readonly advance: (bytes: number) => void;
}

async function fetchOne(file: Wanted, target: string, attempt: Attempt): Promise<void> {
  const part = await claimPart(target);
  let credited = 0;
  const credit = (bytes: number): void => {
    attempt.advance(bytes - credited);
    credited = bytes;
  };
  try {
    let last: RosettaVmError | undefined;
    for (let tries = 0; tries < MAX_ATTEMPTS; tries++) {
      if (tries > 0) await sleep(attempt.pace.retryMs * 2 ** (tries - 1), undefined, { signal: attempt.signal });
      const url = file.urls[tries % file.urls.length] ?? '';
      try {
        await fetchInto(file, url, part.file, { ...attempt, credit });
        await rename(part.file, target);
        await syncFolder(path.dirname(target));
        return;
      } catch (error) {
        last = asRosettaVmError(error);
        const again = last.code === 'E_NETWORK' || last.code === 'E_VERIFY';
        const gone = last.facts.permanent === true && tries + 1 >= file.urls.length;
        // RFC 9110 §15.5.17: 416 says that the server's file ends before the part does.
        const useless = last.code === 'E_VERIFY' || last.code === 'E_DISK_FULL' || last.facts.status === 416;
        if (useless) await rm(part.file, { force: true });
        if (!again || gone || attempt.signal.aborted) throw last;
      }
    }
    throw last;
  } finally {
    part.release();
  }
}

/** One request; appends to the part and checks the whole. */
async function fetchInto(
  file: Wanted,
  url: string,
  part: string,
  { signal, pace, credit }: Attempt & { readonly credit: (bytes: number) => void },
): Promise<void> {
  const handle = await open(part, 'a+');
  try {
    let { hash, bytes } = await resumable(handle, file);
    credit(bytes);
    if (bytes < file.bytes) {
      const body = await fetchBody({ url, name: file.name, from: bytes, signal, pace });
      if (body.from !== bytes) {
        // The server does not resume: from the beginning again.
        await handle.truncate(0);
        hash = createHash('sha256');
        bytes = 0;
        credit(0);
      }
      for await (const chunk of body.chunks) {
        if (bytes + chunk.length > file.bytes)
          throw mismatch(file, url, `it is longer than the ${file.bytes} bytes in the index`);
        hash.update(chunk);
        await writeAll(handle, chunk);
        bytes += chunk.length;
        credit(bytes);
      }
      if (bytes < file.bytes) {
        throw new RosettaVmError('E_NETWORK', {
          what: `The download of ${file.name} was cut short.`,
          why: `${url} ended after ${bytes} of ${file.bytes} bytes.`,
          fix: 'Run the same command again: it goes on where it stopped. Or choose another mirror with `--mirror URL`.',
          facts: { url, bytes, wanted: file.bytes },
        });
      }
    }
    const found = hash.digest('hex');
    if (found !== file.sha256)
      throw mismatch(file, url, `its SHA-256 is ${found}, the signed index says ${file.sha256}`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What an earlier run left in the part: its digest so far. */
async function resumable(handle: FileHandle, file: Wanted): Promise<{ hash: Hash; bytes: number }> {
  const hash = createHash('sha256');
  const { size } = await handle.stat();
  if (size > file.bytes) await handle.truncate(0);
  if (size === 0 || size > file.bytes) return { hash, bytes: 0 };
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 1024 * 1024 }))
    hash.update(chunk);
  return { hash, bytes: size };
}

/** Writes every byte at the end of the file (it is open for appending). */
async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.length) offset += (await handle.write(chunk, offset)).bytesWritten;
}

const ownParts = new Set<string>();
let partCount = 0;

/**
 * A part belongs to one download at a time: its name carries the owner's process id. What a dead process left is
 * taken over by renaming it, which only one can do.
 */
async function claimPart(target: string): Promise<{ readonly file: string; readonly release: () => void }> {
  const folder = path.dirname(target);
  const mine = `${path.basename(target)}.${process.pid}-${++partCount}.part`;
  ownParts.add(mine);
  const release = (): void => {
    ownParts.delete(mine);
  };
  const left = (await readdir(folder)).filter((name) => name.startsWith(`${path.basename(target)}.`));
  for (const name of left) {
    const owner = Number(/\.(\d+)-\d+\.part$/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(owner) || ownParts.has(name) || (owner !== process.pid && isAlive(owner))) continue;
    const taken = await rename(path.join(folder, name), path.join(folder, mine)).then(
      () => true,
      () => false,
    );
    if (taken) break;
  }
  return { file: path.join(folder, mine), release };
}

function mismatch(file: Wanted, url: string, why: string): RosettaVmError {
  return new RosettaVmError('E_VERIFY', {
    what: `${file.name} is not the file that Debian signed.`,
    why: `${url}: ${why}.`,
    fix: 'Run the same command again; if it stays, choose another mirror with `--mirror URL`.',
    facts: { url, file: file.name, sha256: file.sha256 },
  });
}
