/** What every command works with: its streams, the way to be stopped, and the library, loaded on first use. */
import { once } from 'node:events';
import type { Machines } from '../machine/machines.ts';
import { type StatePaths, statePaths } from '../paths.ts';
import type { ProgressSink } from '../progress.ts';
import { Interrupts } from './interrupts.ts';
import { ProgressDisplay } from './progress-display.ts';
import { type Style, styleFor } from './style.ts';

export class CommandContext {
  /** Whether `--json` was given: then data and errors are JSON, and there is no talk on stderr. */
  readonly json: boolean;
  readonly paths: StatePaths = statePaths();
  readonly style: Style = styleFor(process.stdout);
  readonly errorStyle: Style = styleFor(process.stderr);
  /** What the process ends with when nothing is thrown. */
  exitStatus = 0;
  /** What it ends with when something is; null: the error's own. */
  failureStatus: number | null = null;
  #interrupts: Interrupts | null = null;
  #display: ProgressDisplay | null = null;

  constructor(options: { readonly json: boolean }) {
    this.json = options.json;
  }

  /** Data, to stdout. */
  print(text: string): void {
    process.stdout.write(text);
  }

  /** A piece of a long stream, to stdout; resolves when there is room for the next. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
  }

  /** What `--json` prints: an array, each element with the schema's version. */
  printJson(rows: readonly object[]): void {
    this.print(`${JSON.stringify(rows.map(versioned), null, 2)}\n`);
  }

  /** For people, to stderr. */
  tell(text: string): void {
    process.stderr.write(text);
  }

  /** A hint that only a person at a terminal wants. */
  hint(text: string): void {
    if (!this.json && process.stderr.isTTY) this.tell(`${this.errorStyle.dim(text)}\n`);
  }

  /**
   * Takes Ctrl-C, SIGTERM and SIGHUP over from the system: the first aborts this signal, a second ends the process. A
   * command with nothing to clean up leaves it alone and dies of the signal as any program does.
   */
  interrupts(): AbortSignal {
    this.#interrupts ??= new Interrupts((text) => this.tell(text));
    return this.#interrupts.signal;
  }

  /** 128 + n of the signal that aborted the command, or null. */
  get interruptStatus(): number | null {
    return this.#interrupts?.status ?? null;
  }

  /** Shows what long work does: one live line on a terminal, plain lines elsewhere, nothing there with `--json`. */
  progress(): ProgressSink {
    this.#display ??= new ProgressDisplay({
      stream: process.stderr,
      style: this.errorStyle,
      mode: process.stderr.isTTY ? 'live' : this.json ? 'silent' : 'lines',
    });
    return this.#display.sink;
  }

  /** Wipes the live line, before anything else is written. */
  endProgress(): void {
    this.#display?.close();
    this.#display = null;
  }

  async machines(): Promise<Machines> {
    const { openMachines } = await import('../machine/open-machines.ts');
    return openMachines({ paths: this.paths });
  }

  close(): void {
    this.endProgress();
    this.#interrupts?.release();
  }
}

/** One element of a `--json` array. */
export function versioned(row: object): object {
  return { schemaVersion: 1, ...row };
}
