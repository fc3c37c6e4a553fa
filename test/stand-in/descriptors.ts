/**
 * Real descriptors for the stand-in of the native addon, made without native code: Node can make no socketpair, but a
 * FIFO opened twice is one way of one, and a FIFO opened for both is a stream that answers with what it is told.
 * libuv reads both as it reads an AF_UNIX socket (`uv_guess_handle` gives PIPE for all three). What only a socket can
 * show, one side's end while the other goes on, is tested over inherited sockets (vz-inherited.ts).
 */
import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

export class Fifos {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'rvm-fifo-'));
  readonly #made: string[] = [];
  #count = 0;

  /** A reader's and a writer's descriptor; both are the caller's. */
  pair(): { readonly reader: number; readonly writer: number } {
    const fifo = this.#next();
    const reader = openSync(fifo, O_RDONLY | O_NONBLOCK);
    const writer = openSync(fifo, O_WRONLY | O_NONBLOCK);
    rmSync(fifo);
    return { reader, writer };
  }

  /** A descriptor that gives back what is written to it; the caller's. */
  echo(): number {
    const fifo = this.#next();
    const descriptor = openSync(fifo, O_RDWR | O_NONBLOCK);
    rmSync(fifo);
    return descriptor;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #next(): string {
    const made = this.#made.pop();
    if (made !== undefined) return made;
    // A process for each would make the fuzzed tests slow.
    const names = Array.from({ length: 64 }, () => path.join(this.#folder, `${this.#count++}`));
    execFileSync('mkfifo', ['-m', '600', ...names]);
    this.#made.push(...names);
    return this.#next();
  }
}
