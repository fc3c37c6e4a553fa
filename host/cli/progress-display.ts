/** Draws progress on stderr. */
import type { ProgressEvent, ProgressSink } from '../progress.ts';
import { formatDuration } from './format.ts';
import { type ActiveStage, advance, describeStage } from './progress-line.ts';
import type { Style } from './style.ts';
import { printable } from './table.ts';

export interface DisplayOptions {
  readonly stream: { write(text: string): unknown; readonly columns?: number };
  readonly style: Style;
  /** `live`: one line that changes; `lines`: a line when something begins, and rarely in between; `silent`: nothing. */
  readonly mode: 'live' | 'lines' | 'silent';
}

const REDRAW_MS = 100;
/** In a log file a long download shows that it lives, without filling the file. */
const LINE_EVERY_MS = 10_000;
/** Stages that end sooner are not worth a second line. */
const WORTH_A_LINE_MS = 2000;
/** ECMA-48: carriage return, erase to the end of the line. */
const WIPE = '\r\u001b[K';

export class ProgressDisplay {
  readonly #options: DisplayOptions;
  #stages: readonly ActiveStage[] = [];
  #timer: NodeJS.Timeout | null = null;
  #drawn = false;
  #lastLineAt = 0;

  constructor(options: DisplayOptions) {
    this.#options = options;
  }

  readonly sink: ProgressSink = (event) => {
    const now = performance.now();
    const ended = event.kind === 'end' ? this.#stages.find(({ id }) => id === event.id) : undefined;
    this.#stages = advance(this.#stages, event, now);
    if (this.#options.mode === 'live') this.#live(event);
    else if (this.#options.mode === 'lines') this.#line(event, ended, now);
  };

  /** Leaves the terminal as it was found. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#wipe();
    this.#stages = [];
  }

  #live(event: ProgressEvent): void {
    if (event.kind === 'note') {
      this.#wipe();
      this.#write(`${printable(event.message)}\n`);
    }
    // Unreferenced: a display that nobody closed must not keep the process.
    this.#timer ??= setInterval(() => this.#draw(), REDRAW_MS).unref();
    if (event.kind === 'begin') this.#draw();
    if (this.#stages.length === 0) this.#wipe();
  }

  #draw(): void {
    const current = this.#stages.at(-1);
    if (current === undefined) return;
    // One column less: a line that fills the last one wraps on some terminals.
    const width = Math.max(20, (this.#options.stream.columns || 80) - 1);
    const text = printable(describeStage(current, performance.now(), width));
    const title = Math.min(current.title.length, text.length);
    this.#write(`${WIPE}${text.slice(0, title)}${this.#options.style.dim(text.slice(title))}`);
    this.#drawn = true;
  }

  #wipe(): void {
    if (this.#drawn) this.#write(WIPE);
    this.#drawn = false;
  }

  #line(event: ProgressEvent, ended: ActiveStage | undefined, now: number): void {
    if (event.kind === 'note') this.#write(`${printable(event.message)}\n`);
    if (event.kind === 'begin') {
      this.#lastLineAt = now;
      this.#write(`${printable(event.title)} …\n`);
    }
    if (event.kind === 'bytes' && now - this.#lastLineAt > LINE_EVERY_MS) {
      this.#lastLineAt = now;
      const stage = this.#stages.find(({ id }) => id === event.id);
      if (stage !== undefined) this.#write(`  ${printable(describeStage(stage, now))}\n`);
    }
    if (event.kind === 'end' && ended !== undefined && event.ms >= WORTH_A_LINE_MS) {
      this.#write(`  ${printable(ended.title)}: ${formatDuration(event.ms)}\n`);
    }
  }

  #write(text: string): void {
    this.#options.stream.write(text);
  }
}
