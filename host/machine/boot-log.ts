/** The serial console's text: kept under a limit while the machine runs, and read as a stream. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_LISTENS } from '../../guest/protocol.ts';
import { isLocked } from '../process/lock.ts';
import type { MachineFolder } from './record.ts';

const CHUNK_BYTES = 64 * 1024;
const POLL_MS = 200;
/** Between two looks at whether the machine still runs, in polls. */
const ALIVE_EVERY = 10;

/** A little more often than the eye notices; a boot's log is a few hundred bytes. */
const ANNOUNCEMENT_POLL_MS = 20;

const LIMIT_POLL_MS = 2_000;

/** Sizes of a log, bytes. Above `maxBytes`, whole multiples of `cutBytes` go from its beginning. */
export interface BootLogLimits {
  readonly maxBytes: number;
  /** Always the same, so that a reader knows by how much its place has moved. */
  readonly cutBytes: number;
}

/** A boot writes tens of kilobytes; what fills this is a guest that complains without end. */
export const BOOT_LOG_LIMITS: BootLogLimits = { maxBytes: 16 * 1024 * 1024, cutBytes: 12 * 1024 * 1024 };

/** Keeps the log under its limit until closed. The driver must append to it: see {@link MachinePlan.serialLog}. */
export function limitBootLog(serialLog: string, complain: (error: unknown) => void): { close(): Promise<void> } {
  const timer = setInterval(() => {
    try {
      cutBootLog(serialLog);
    } catch (error) {
      clearInterval(timer);
      complain(error);
    }
  }, LIMIT_POLL_MS);
  return { close: async () => clearInterval(timer) };
}

/**
 * Cuts a log that has grown over the limit, in place, since its writer has it open. The rest moves to the front, with
 * what is added meanwhile, and all of it without a pause, so that next to nothing comes between the last look and the
 * cut: that would be lost. Throws what the file system does.
 */
export function cutBootLog(file: string, { maxBytes, cutBytes }: BootLogLimits = BOOT_LOG_LIMITS): void {
  const log = openSync(file, 'r+');
  try {
    const { size } = fstatSync(log);
    if (size <= maxBytes) return;
    const cut = cutBytes * Math.ceil((size - maxBytes) / cutBytes);
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let kept = 0;
    for (;;) {
      const bytes = readSync(log, buffer, 0, CHUNK_BYTES, cut + kept);
      if (bytes === 0) break;
      writeSync(log, buffer, 0, bytes, kept);
      kept += bytes;
    }
    ftruncateSync(log, kept);
  } finally {
    closeSync(log);
  }
}

/** Reads a log from its beginning on, also over cuts. */
class LogReader {
  readonly #handle: FileHandle;
  readonly #cutBytes: number;
  #position = 0;

  private constructor(handle: FileHandle, cutBytes: number) {
    this.#handle = handle;
    this.#cutBytes = cutBytes;
  }

  /** Null while there is no file. */
  static async open(file: string, { cutBytes }: BootLogLimits = BOOT_LOG_LIMITS): Promise<LogReader | null> {
    try {
      return new LogReader(await open(file, 'r'), cutBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** What comes next, at most {@link CHUNK_BYTES}; nothing at the log's present end. */
  async next(): Promise<Buffer> {
    const { size } = await this.#handle.stat();
    // It was cut, or a new boot has emptied it.
    while (this.#position > size) this.#position = Math.max(0, this.#position - this.#cutBytes);
    const { buffer, bytesRead } = await this.#handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, this.#position);
    this.#position += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * Resolves when the guest's agent has said on the console that it listens, and after `timeoutMs` without that: the line
 * may be torn by a message of the kernel's. Throws the reason of `signal`.
 */
export async function waitForAnnouncement(
  serialLog: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reader: LogReader | null = null;
  let text = '';
  try {
    while (performance.now() < deadline) {
      signal.throwIfAborted();
      reader ??= await LogReader.open(serialLog);
      const chunk = (await reader?.next()) ?? Buffer.alloc(0);
      // The line may come in two pieces.
      text = text.slice(1 - AGENT_LISTENS.length) + chunk.toString('latin1');
      if (text.includes(AGENT_LISTENS)) return;
      if (chunk.length < CHUNK_BYTES) await sleep(ANNOUNCEMENT_POLL_MS);
    }
  } finally {
    await reader?.close();
  }
}

export interface BootLogOptions {
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: BootLogLimits;
}

/** See {@link Machines.bootLog}. A machine that never started has an empty log. */
export async function* readBootLog(
  folder: MachineFolder,
  { follow, signal, limits }: BootLogOptions,
): AsyncGenerator<Uint8Array> {
  const reader = await LogReader.open(folder.serialLog, limits);
  if (reader === null) return;
  try {
    for (let polls = 1; signal?.aborted !== true; ) {
      const chunk = await reader.next();
      if (chunk.length > 0) {
        yield chunk;
        continue;
      }
      if (!follow || (polls++ % ALIVE_EVERY === 0 && !(await isLocked(folder.hostLock)))) return;
      await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
  } finally {
    await reader.close();
  }
}
