/** How a mounted data disk does: a disk that is gone (an NBD server that died) leaves its mount behind, and its numbers. */
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { within } from '../host/within.ts';

/** A disk behind a network may be slow; one that takes longer is of no use. */
const ANSWER_LIMIT_MS = 3_000;
const BLOCK_BYTES = 4096;

export interface WatchOptions {
  readonly device: string;
  /** Its length. */
  readonly bytes: number;
  /** sysfs: a folder for each mounted ext4, by its device. */
  readonly ext4Directory: string;
  /** Whether it is read to see that it answers: a disk that is not the host's own file may go without an error. */
  readonly mayVanish: boolean;
}

export class DiskWatch {
  readonly #options: WatchOptions;
  /** At most one read waits for a disk that hangs. */
  #reading: Promise<string | null> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** What is wrong, in words; null when nothing is known to be. */
  async problem(): Promise<string | null> {
    const errors = await this.#errorCount();
    if (errors > 0)
      return `Its file system met ${errors} errors and may take no more writes. Restart the machine: it is then checked.`;
    return this.#options.mayVanish ? await this.#silence() : null;
  }

  /**
   * Errors since the last complete check; e2fsck makes one at the next start (Documentation/ABI/testing/sysfs-fs-ext4).
   * The list of mounts does not tell: since Linux 6.12 a file system that takes no more writes is still called `rw`.
   */
  async #errorCount(): Promise<number> {
    const file = path.join(this.#options.ext4Directory, path.basename(this.#options.device), 'errors_count');
    return Number(await readFile(file, 'utf8').catch(() => '0'));
  }

  async #silence(): Promise<string | null> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    let outcome: string | null = `It did not answer within ${ANSWER_LIMIT_MS / 1000} s.`;
    const told = this.#reading.then((found) => {
      outcome = found;
    });
    await within(ANSWER_LIMIT_MS, told);
    return outcome;
  }

  /** Somewhere, so that the kernel has hardly ever kept it from an earlier read. */
  async #read(): Promise<string | null> {
    const { device, bytes } = this.#options;
    const position = Math.floor(Math.random() * (bytes / BLOCK_BYTES)) * BLOCK_BYTES;
    try {
      const file = await open(device, 'r');
      try {
        await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, position);
        return null;
      } finally {
        await file.close();
      }
    } catch (error) {
      return `It cannot be read: ${(error as Error).message}`;
    }
  }
}
