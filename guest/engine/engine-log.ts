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
    if ((await this.size()) <= this.#maxBytes) return;
    await copyFile(this.#file, `${this.#file}.1`);
    await truncate(this.#file, 0);
  }

  /** What the daemon said last of its own end, since the log had `fromBytes`; undefined when it only told of its work. */
  async lastComplaint(fromBytes: number): Promise<string | undefined> {
    const handle = await open(this.#file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      const start = Math.max(fromBytes > size ? 0 : fromBytes, size - TAIL_BYTES);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, start);
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
      const line = lines.findLast((one) => one.trim() !== '' && isComplaint(one));
      return /msg="((?:[^"\\]|\\.)*)"/.exec(line ?? '')?.[1] ?? line?.trim();
    } finally {
      await handle.close();
    }
  }

  /** Bytes now. */
  async size(): Promise<number> {
    return await stat(this.#file).then(
      ({ size }) => size,
      () => 0,
    );
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

/** Docker's lines are logfmt (`time=… level=…`); what ends it is said in plain words: "failed to start daemon: …". */
function isComplaint(line: string): boolean {
  return !line.startsWith('time=') || /\blevel=(fatal|panic)\b/.test(line);
}
