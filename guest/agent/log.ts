/** The agent's log: newline JSON in one bounded file, rotated once, and live for whoever follows. */
import { appendFile, mkdir, readFile, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import type { LogLine } from '../protocol.ts';

/** Two files of this size at most: the current one and the one before it (`.1`). */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Lines waiting for the disk; more are counted and dropped, so that a dead disk does not eat the memory. */
const MAX_WAITING_LINES = 10_000;
const MAX_MESSAGE_CHARACTERS = 8 * 1024;

export type LogFields = LogLine['fields'];

/** Writes for one part of the agent. */
export interface PartLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export class Log {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #followers = new Set<(line: string) => void>();
  #waiting: string[] = [];
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(file: string, maxBytes: number = MAX_FILE_BYTES) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  part(part: string): PartLog {
    return {
      info: (message, fields) => this.#write('info', part, message, fields),
      warn: (message, fields) => this.#write('warn', part, message, fields),
      error: (message, fields) => this.#write('error', part, message, fields),
    };
  }

  /** Calls back with each new line until the returned function is called. */
  follow(onLine: (line: string) => void): () => void {
    this.#followers.add(onLine);
    return () => this.#followers.delete(onLine);
  }

  /** Everything kept, oldest first, as newline JSON. */
  async read(): Promise<string> {
    await this.flush();
    const texts = await Promise.all(
      [`${this.#file}.1`, this.#file].map((file) => readFile(file, 'utf8').catch(() => '')),
    );
    return texts.join('');
  }

  /** Resolves when what was logged so far is written (or could not be). */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  #write(level: LogLine['level'], part: string, message: string, fields: LogFields): void {
    const entry: LogLine = {
      timeMs: Date.now(),
      level,
      part,
      message: message.slice(0, MAX_MESSAGE_CHARACTERS),
      ...(fields === undefined ? {} : { fields }),
    };
    const line = `${JSON.stringify(entry)}\n`;
    for (const follower of this.#followers) follower(line);
    if (this.#waiting.length >= MAX_WAITING_LINES) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(line);
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      // A log that cannot be written must not stop the agent; what is lost is said as soon as it can be.
      await this.#append(lines.join('')).catch(() => {
        this.#dropped += lines.length;
      });
    }
    this.#writing = undefined;
    if (this.#dropped > 0 && this.#waiting.length === 0) this.#sayDropped();
  }

  async #append(text: string): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true });
    const { size } = await stat(this.#file).catch(() => ({ size: 0 }));
    if (size > 0 && size + text.length > this.#maxBytes) await rename(this.#file, `${this.#file}.1`);
    await appendFile(this.#file, text, { mode: 0o600 });
  }

  #sayDropped(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    const line: LogLine = {
      timeMs: Date.now(),
      level: 'warn',
      part: 'agent',
      message: 'Log lines were lost.',
      fields: { lines: dropped },
    };
    void this.#append(`${JSON.stringify(line)}\n`).catch(() => {});
  }
}
