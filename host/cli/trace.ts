/** `--trace`: every stage of a command with its time, as a table and as a file. */
import path from 'node:path';
import { writeWhole } from '../files.ts';
import type { ProgressSink } from '../progress.ts';
import { version } from '../version.ts';
import { formatDuration } from './format.ts';
import { renderTable } from './table.ts';

export interface TracedStage {
  readonly id: string;
  readonly title: string;
  /** Since the command began. */
  readonly startMs: number;
  /** Null: it had not ended when the command did. */
  readonly ms: number | null;
  /** Of the stages around it; 0 is outermost. */
  readonly depth: number;
  readonly bytes: number | null;
}

/** What `trace.json` in the machine's folder holds. */
export interface Trace {
  readonly schemaVersion: 1;
  readonly command: string;
  readonly version: string;
  /** Unix ms. */
  readonly startedAt: number;
  readonly totalMs: number;
  readonly stages: readonly TracedStage[];
}

export class TraceRecorder {
  readonly #command: string;
  readonly #startedAt = Date.now();
  readonly #origin = performance.now();
  readonly #stages: TracedStage[] = [];

  constructor(command: string) {
    this.#command = command;
  }

  readonly sink: ProgressSink = (event) => {
    if (event.kind === 'note') return;
    if (event.kind === 'begin') {
      this.#stages.push({
        id: event.id,
        title: event.title,
        startMs: performance.now() - this.#origin,
        ms: null,
        depth: this.#stages.filter(({ ms }) => ms === null).length,
        bytes: event.totalBytes ?? null,
      });
      return;
    }
    const index = this.#stages.findLastIndex(({ id, ms }) => id === event.id && ms === null);
    const open = this.#stages[index];
    if (open === undefined) return;
    this.#stages[index] =
      event.kind === 'end'
        ? { ...open, ms: event.ms }
        : { ...open, bytes: Math.max(open.bytes ?? 0, event.totalBytes) };
  };

  finish(): Trace {
    return {
      schemaVersion: 1,
      command: this.#command,
      version,
      startedAt: this.#startedAt,
      totalMs: performance.now() - this.#origin,
      stages: this.#stages,
    };
  }
}

/** Inner stages are indented; the last row is the whole. */
export function renderTrace(trace: Trace): string {
  const rows = trace.stages.map(({ id, title, startMs, ms, depth }) => [
    `${'  '.repeat(depth)}${id}`,
    formatDuration(startMs),
    ms === null ? 'not ended' : formatDuration(ms),
    title,
  ]);
  return renderTable(
    [{ title: 'STAGE' }, { title: 'START', align: 'right' }, { title: 'TIME', align: 'right' }, { title: 'WHAT' }],
    [...rows, ['total', '', formatDuration(trace.totalMs), '']],
  );
}

/** Writes the trace into a machine's folder and answers with the file's path. */
export async function writeTrace(directory: string, trace: Trace): Promise<string> {
  const file = path.join(directory, 'trace.json');
  await writeWhole(file, `${JSON.stringify(trace, null, 2)}\n`);
  return file;
}
