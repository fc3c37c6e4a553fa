/** The steps of a build as they stand, kept up from BuildKit's messages. */
import { StringDecoder } from 'node:string_decoder';
import type { BuildMessage } from './raw-progress.ts';

/** Log text kept of a step, for the message about its failure; its last part counts. */
const KEPT_LOG_CHARACTERS = 64 * 1024;
/** Without an end, a line of output is cut here. */
const MAX_LOG_LINE = 8192;

export interface BuildStep {
  /** Counts from 1, in the order in which steps began; a person's name for it. */
  readonly number: number;
  readonly digest: string;
  readonly name: string;
  /** Whether it starts programs of the image. */
  readonly runs: boolean;
  /** Unix ms, guest's clock. A step that is taken from the build cache has neither or both. */
  readonly startedMs?: number;
  readonly completedMs?: number;
  readonly cached: boolean;
  readonly error: string;
  /** The end of what it printed. */
  readonly log: string;
  /** Bytes sent or received. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export type StepEvent =
  | { readonly kind: 'started' | 'completed'; readonly step: BuildStep }
  | { readonly kind: 'log'; readonly step: BuildStep; readonly line: string }
  | { readonly kind: 'warning'; readonly text: string };

interface Entry {
  step: BuildStep;
  readonly decoder: StringDecoder;
  partLine: string;
  readonly amounts: Map<string, { current: number; total: number }>;
}

export class BuildSteps {
  readonly #entries = new Map<string, Entry>();
  #begun = 0;

  /** Those that have begun, in the order of their numbers. */
  list(): BuildStep[] {
    return [...this.#entries.values()]
      .map(({ step }) => step)
      .filter(({ number }) => number > 0)
      .sort((a, b) => a.number - b.number);
  }

  /** Takes a message; returns what it means, in order. */
  take(message: BuildMessage): StepEvent[] {
    return [
      ...message.vertexes.flatMap((vertex) => this.#vertex(vertex)),
      ...message.logs.flatMap(({ vertex, data }) => this.#log(vertex, data)),
      ...message.statuses.flatMap((status) => this.#status(status)),
      ...message.warnings.map(({ short }): StepEvent => ({ kind: 'warning', text: short })),
    ];
  }

  #vertex(vertex: BuildMessage['vertexes'][number]): StepEvent[] {
    const entry = this.#entry(vertex.digest, vertex.name);
    const { started, completed } = vertex;
    const before = entry.step;
    // BuildKit starts some vertices twice: once to ask the build cache, then for the work itself. The last times count.
    const begins = before.number === 0 && (started !== undefined || completed !== undefined || vertex.error !== '');
    if (begins) this.#begun += 1;
    entry.step = {
      ...withoutTimes(before),
      number: begins ? this.#begun : before.number,
      ...(started === undefined ? {} : { startedMs: started }),
      ...(completed === undefined ? {} : { completedMs: completed }),
      cached: vertex.cached || before.cached,
      error: vertex.error || before.error,
    };
    const { step } = entry;
    const events: StepEvent[] = [];
    if (begins) events.push({ kind: 'started', step });
    if (completed !== undefined && before.completedMs !== completed) {
      if (entry.partLine !== '') events.push(this.#line(entry, entry.partLine));
      entry.partLine = '';
      events.push({ kind: 'completed', step });
    }
    return events;
  }

  #log(digest: string, data: Buffer): StepEvent[] {
    const entry = this.#entries.get(digest);
    if (entry === undefined) return [];
    const text = entry.decoder.write(data);
    entry.step = { ...entry.step, log: (entry.step.log + text).slice(-KEPT_LOG_CHARACTERS) };
    const lines = (entry.partLine + text).split(/\r?\n/);
    entry.partLine = lines.pop() ?? '';
    if (entry.partLine.length > MAX_LOG_LINE) {
      lines.push(entry.partLine);
      entry.partLine = '';
    }
    return lines.map((line) => this.#line(entry, line));
  }

  #line({ step }: Entry, line: string): StepEvent {
    return { kind: 'log', step, line };
  }

  #status({ vertex, id, current, total }: BuildMessage['statuses'][number]): StepEvent[] {
    const entry = this.#entries.get(vertex);
    if (entry === undefined) return [];
    entry.amounts.set(id, { current, total });
    let doneBytes = 0;
    let totalBytes = 0;
    for (const amount of entry.amounts.values()) {
      doneBytes += amount.current;
      totalBytes += amount.total;
    }
    entry.step = { ...entry.step, doneBytes, totalBytes };
    return [];
  }

  #entry(digest: string, name: string): Entry {
    const known = this.#entries.get(digest);
    if (known !== undefined) return known;
    const step: BuildStep = {
      number: 0,
      digest,
      name,
      runs: /^\[[^\]]*\] RUN /.test(name),
      cached: false,
      error: '',
      log: '',
      doneBytes: 0,
      totalBytes: 0,
    };
    const entry = { step, decoder: new StringDecoder('utf8'), partLine: '', amounts: new Map() };
    this.#entries.set(digest, entry);
    return entry;
  }
}

function withoutTimes({ startedMs: _started, completedMs: _completed, ...rest }: BuildStep): BuildStep {
  return rest;
}
