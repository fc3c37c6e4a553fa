/** Splits a byte stream into lines without ever holding more than a limit. */
import { RosettaVmError } from '../errors.ts';

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #limit: number;
  readonly #source: string;
  #rest: Buffer = Buffer.alloc(0);

  /** `limit` in bytes, newline not counted; `source` names the speaker in errors. */
  constructor(limit: number, source: string) {
    this.#limit = limit;
    this.#source = source;
  }

  /** Bytes after the last complete line. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** Takes a chunk; returns the next complete line without its line end, or undefined. Throws `E_PROTOCOL`. */
  next(chunk?: Buffer): string | undefined {
    if (chunk !== undefined) this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = this.#rest.indexOf(NEWLINE);
    if ((end === -1 ? this.#rest.length : end) > this.#limit) {
      throw new RosettaVmError('E_PROTOCOL', {
        what: `${this.#source} sent a line that is too long.`,
        why: `A line may have ${this.#limit} bytes.`,
        fix: 'Restart the machine; if it happens again, report it with the machine’s logs.',
        facts: { source: this.#source, limit: this.#limit },
      });
    }
    if (end === -1) return undefined;
    const line = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end + 1);
    return line.toString('utf8').replace(/\r$/, '');
  }

  /** Takes a chunk and returns every line that is complete. Throws `E_PROTOCOL`. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    for (let line = this.next(chunk); line !== undefined; line = this.next()) lines.push(line);
    return lines;
  }
}
