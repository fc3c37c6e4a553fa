/** Shows a build on stderr in the forms of `docker build --progress`. */
import type { BuildEvent } from '../build/build.ts';
import type { BuildStep } from '../build/steps.ts';
import { advanceFrame, drawFrame, emptyFrame, type FrameState } from './build-frame.ts';
import type { Style } from './style.ts';
import { printable } from './table.ts';

export type BuildDisplayMode = 'plain' | 'tty' | 'rawjson' | 'quiet';

export interface BuildDisplayOptions {
  readonly stream: { write(data: string | Uint8Array): unknown; readonly columns?: number; readonly rows?: number };
  readonly style: Style;
  readonly mode: BuildDisplayMode;
}

const REDRAW_MS = 150;

export class BuildDisplay {
  readonly #options: BuildDisplayOptions;
  #frame: FrameState = emptyFrame(0);
  #drawnLines = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: BuildDisplayOptions) {
    this.#options = options;
  }

  take(event: BuildEvent): void {
    const { mode } = this.#options;
    if (event.kind === 'note' || event.kind === 'warning') this.#note(event.text);
    if (mode === 'rawjson' && event.kind === 'raw') this.#write(event.piece);
    if (mode === 'plain') for (const line of plainLines(event)) this.#write(`${line}\n`);
    if (mode === 'tty') this.#live(event);
  }

  /** Stops redrawing and leaves the last frame on the screen. */
  close(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#redraw();
    this.#drawnLines = 0;
  }

  #live(event: BuildEvent): void {
    if (event.kind === 'end') this.close();
    if (event.kind === 'begin') {
      this.#frame = emptyFrame(performance.now());
      // Unreferenced: a display that nobody closed must not keep the process.
      this.#timer ??= setInterval(() => this.#redraw(), REDRAW_MS).unref();
    }
    this.#frame = advanceFrame(this.#frame, event, performance.now());
  }

  #redraw(): void {
    const { stream, style } = this.#options;
    const size = { columns: stream.columns || 80, rows: stream.rows || 24 };
    const lines = drawFrame(this.#frame, performance.now(), size, style);
    this.#write(`${this.#back()}${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  /** ECMA-48: cursor up, then erase to the end of the screen. */
  #back(): string {
    return this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}F\u001b[J`;
  }

  #note(text: string): void {
    this.#write(`${this.#back()}${this.#options.style.yellow(`rosetta-vm: ${printable(text)}`)}\n`);
    this.#drawnLines = 0;
  }

  #write(data: string | Uint8Array): void {
    this.#options.stream.write(data);
  }
}

/** The lines of `--progress=plain`, as buildx writes them. */
export function plainLines(event: BuildEvent): string[] {
  switch (event.kind) {
    case 'started':
      return [`#${event.step.number} ${printable(event.step.name)}`];
    case 'log':
      return [`#${event.step.number} ${printable(event.line)}`];
    case 'completed':
      // BuildKit ends these twice: when it has asked its cache, and when the work is done.
      if (event.step.name.startsWith('[internal]') && event.step.error === '') return [];
      return [`#${event.step.number} ${ending(event.step)}`];
    default:
      return [];
  }
}

function ending({ name, cached, error, startedMs, completedMs }: BuildStep): string {
  if (error !== '') return `ERROR: ${printable(error)}`;
  if (cached) return `CACHED ${printable(name)}`;
  return `DONE ${(((completedMs ?? 0) - (startedMs ?? completedMs ?? 0)) / 1000).toFixed(1)}s`;
}
