/**
 * Docker's log. The daemon writes straight to the file, and not to a pipe of the agent's: a daemon that outlives the
 * agent would die of SIGPIPE at its next line.
 */
import { copyFile, type FileHandle, mkdir, open, readFile, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Two files of about this size at most: the current one and the one before it (`.1`). */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const POLL_MS = 200;
const CHUNK_BYTES = 64 * 1024;
const TAIL_BYTES = 16 * 1024;

export class EngineLog {
  readonly #file: string;
  readonly #maxBytes: number;

  constructor(file: string, maxBytes: number = MAX_FILE_BYTES) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  /** For the daemon's outputs; the caller closes it. Appending, so that {@link bound} can cut it under the writer. */
  async openForDaemon(): Promise<FileHandle> {
    await mkdir(path.dirname(this.#file), { recursive: true });
    return await open(this.#file, 'a', 0o600);
  }

  /** Keeps the file small: what a writer adds between the two steps is lost. */
  async bound(): Promise<void> {
    const { size } = await stat(this.#file).catch(() => ({ size: 0 }));
    if (size <= this.#maxBytes) return;
    await copyFile(this.#file, `${this.#file}.1`);
    await truncate(this.#file, 0);
  }

  /** The last line that is not empty, or undefined: what the daemon said when it ended. */
  async lastLine(): Promise<string | undefined> {
    const handle = await open(this.#file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(
        Buffer.alloc(TAIL_BYTES),
        0,
        TAIL_BYTES,
        Math.max(0, size - TAIL_BYTES),
      );
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
      return lines.findLast((line) => line.trim() !== '')?.trim();
    } finally {
      await handle.close();
    }
  }

  /** Everything kept, oldest first; with `follow` also what is added, until `signal` aborts. */
  async *read(follow: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
    const before = await readFile(`${this.#file}.1`).catch(() => Buffer.alloc(0));
    if (before.length > 0) yield before;
    const handle = await this.#openToRead(follow, signal);
    if (handle === undefined) return;
    try {
      for (let position = 0; !signal.aborted; ) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position);
        position += bytesRead;
        if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
        else if (!follow) return;
        else {
          await sleep(POLL_MS, undefined, { signal }).catch(() => {});
          // It was cut meanwhile: what is in it now is new.
          if ((await handle.stat()).size < position) position = 0;
        }
      }
    } finally {
      await handle.close();
    }
  }

  async #openToRead(wait: boolean, signal: AbortSignal): Promise<FileHandle | undefined> {
    for (;;) {
      const handle = await open(this.#file, 'r').catch(() => undefined);
      if (handle !== undefined || !wait || signal.aborted) return handle;
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }
}
