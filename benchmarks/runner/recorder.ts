/** The session's file while it grows: whole at every instant, and marked partial until the end. */
import { RosettaVmError } from '../../host/errors.ts';
import { writeWhole } from '../../host/files.ts';
import { measurementKey } from '../compare/comparable.ts';
import { type HyperfineResult, mergeSamples } from '../hyperfine.ts';
import {
  type Arm,
  type Counts,
  type Fingerprint,
  type Measurement,
  type RejectedSample,
  SESSION_VERSION,
  type Session,
} from '../session.ts';
import type { Sample } from './benchmark-runner.ts';

/** What is known of a session before its first sample. */
export type SessionHead = Pick<Session, 'id' | 'date' | 'version' | 'commit' | 'tier' | 'choice'>;

/** A benchmark in an arm. */
export interface Subject {
  readonly suite: string;
  readonly benchmark: string;
  readonly arm: Arm;
}

interface Taken extends Pick<Measurement, 'unit' | 'smallerIsBetter'> {
  readonly subject: Subject;
  readonly values: number[];
  readonly rounds: number[];
  readonly counts: Counts[];
  readonly timed: HyperfineResult[];
  product: string | undefined;
  readonly disk: string | undefined;
}

export interface RecorderOptions {
  readonly head: SessionHead;
  /** Null: it is kept in memory alone. */
  readonly file: string | null;
  /** Asked at each write: translators come in as they run. */
  readonly fingerprint: () => Fingerprint;
  readonly clockJumpMs: () => number;
  readonly write?: (file: string, content: string) => Promise<void>;
}

const writeFile = (file: string, content: string): Promise<void> => writeWhole(file, content, 0o644);

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #taken = new Map<string, Taken>();
  readonly #rejected: RejectedSample[] = [];
  /** Of the first run of each benchmark and architecture, timed or not. */
  readonly #products = new Map<string, string>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /**
   * Takes an accepted sample. Throws `E_VERIFY` when it made something else than the first one of the same
   * architecture did: then it is none.
   */
  add(subject: Subject, sample: Sample, round: number, how: Pick<Measurement, 'unit' | 'smallerIsBetter'>): void {
    this.check(subject, sample);
    const key = measurementKey(subject);
    const { unit, smallerIsBetter } = how;
    const taken = this.#taken.get(key) ?? {
      ...{ unit, smallerIsBetter, subject, product: sample.product, disk: sample.disk },
      ...{ values: [], rounds: [], counts: [], timed: [] },
    };
    this.#taken.set(key, taken);
    taken.values.push(sample.value);
    taken.rounds.push(round);
    taken.counts.push(sample.counts);
    if (sample.timed !== undefined) taken.timed.push(sample.timed);
  }

  /** The same check for a run that is not timed, which may be the first one. */
  check({ suite, benchmark, arm }: Subject, { product }: Sample): void {
    if (product === undefined) return;
    const work = `${suite}/${benchmark} ${arm.native}`;
    const first = this.#products.get(work) ?? product;
    this.#products.set(work, first);
    if (product === first) return;
    throw new RosettaVmError('E_VERIFY', {
      what: 'The run made something else than the first one.',
      why: `SHA-256 ${product} instead of ${first}.`,
      fix: 'A translator or its cache is wrong: report it with the translator’s version.',
    });
  }

  reject({ suite, benchmark, arm }: Subject, reason: string): void {
    this.#rejected.push({ suite, benchmark, arm, reason: reason.slice(0, MAX_REASON) });
  }

  isRejected(subject: Subject): boolean {
    return this.#rejected.some((one) => measurementKey(one) === measurementKey(subject));
  }

  session(state: Session['state'], reason?: string): Session {
    const { head, fingerprint, clockJumpMs } = this.#options;
    const all = [...this.#taken.values()];
    return {
      schemaVersion: SESSION_VERSION,
      kind: 'rosetta-vm-bench',
      ...head,
      clockJumpMs: clockJumpMs(),
      state,
      ...(reason === undefined ? {} : { reason: reason.slice(0, MAX_REASON) }),
      fingerprint: fingerprint(),
      measurements: all.map(asMeasurement),
      rejected: this.#rejected,
      results: all.flatMap(({ subject, timed }) =>
        timed.length === 0 ? [] : [mergeSamples(timed, parametersOf(subject), measurementKey(subject))],
      ),
    };
  }

  /** Writes it to its file. Throws `E_DISK_FULL` and the like; the file is then as it was after the last write. */
  async save(state: Session['state'], reason?: string): Promise<Session> {
    const session = this.session(state, reason);
    const { file, write = writeFile } = this.#options;
    if (file !== null) await write(file, `${JSON.stringify(session, null, 2)}\n`);
    return session;
  }
}

const MAX_REASON = 2_000;

function asMeasurement({ subject, product, disk, values, rounds, counts, unit, smallerIsBetter }: Taken): Measurement {
  const { suite, benchmark, arm } = subject;
  const known = { ...(product === undefined ? {} : { product }), ...(disk === undefined ? {} : { disk }) };
  return { suite, benchmark, arm, unit, smallerIsBetter, values, rounds, counts, ...known };
}

const parametersOf = ({ suite, benchmark, arm }: Subject): Record<string, string> => ({
  suite,
  benchmark,
  ...(arm.native ? { native: 'true' } : {}),
  ...arm.dimensions,
});
