/** One session: the chosen benchmarks in their arms, one interleaved sample at a time, in up to as many rounds as the rule has. */
import { asRosettaVmError } from '../../host/errors.ts';
import { stage } from '../../host/progress.ts';
import { armComparisons } from '../compare/arms.ts';
import { comparable, measurementKey } from '../compare/comparable.ts';
import type { NoiseFloorOf } from '../compare/row.ts';
import { tooFewToCompare } from '../compare/runs-needed.ts';
import { roundOrder } from '../schedule.ts';
import type { Arm, Session } from '../session.ts';
import { DEFAULT_RULE, ONE_LOOK, type Rule } from '../statistics/comparison.ts';
import { nextRound } from '../statistics/next-round.ts';
import { type Chosen, keyOf } from '../suites/load.ts';
import type { Tier } from '../suites/schema.ts';
import type { Bench, BenchmarkRunner } from './benchmark-runner.ts';
import { Budget, budgetOf, EXTENTS } from './budget.ts';
import type { ClockWatch } from './clock.ts';
import type { Recorder, Subject } from './recorder.ts';
import { Remaining } from './remaining.ts';
import { describeArm, Sampling } from './sampling.ts';

/** A benchmark of the session, with its arms in their order. */
export interface Planned {
  readonly chosen: Chosen;
  readonly arms: readonly Arm[];
}

export interface SessionOptions {
  readonly bench: Bench;
  readonly planned: readonly Planned[];
  readonly tier: Tier;
  /** So many samples an arm, in one round; null: as the tier has it, and further rounds while a verdict is open. */
  readonly runs: number | null;
  readonly recorder: Recorder;
  readonly clock: ClockWatch;
  /** Of a benchmark in an arm (`measurementKey`), from `bench calibrate`; null when it is not known. */
  readonly noiseFloor: NoiseFloorOf;
  readonly prepare: (bench: Bench, planned: Planned) => Promise<BenchmarkRunner>;
  /** ms; default: {@link performance.now}. */
  readonly now?: () => number;
}

export interface SessionResult {
  readonly session: Session;
  /** What ended it before its end; null when it is complete. */
  readonly error: unknown;
}

/**
 * Measures, and brings the machine back into its own mode whatever happens. What was measured before something ended it is
 * kept and marked partial: this never throws but for a file that cannot be written.
 */
export async function runSession(options: SessionOptions): Promise<SessionResult> {
  const { bench, recorder } = options;
  const run = new SessionRun(options);
  const error = await run.measure().then(
    () => null,
    (thrown: unknown) => thrown ?? new Error('The session ended.'),
  );
  await run.dispose();
  // Of a machine that broke, the first error tells more.
  await bench.modes.restore().catch((thrown: unknown) => {
    const message = `The machine is not as it was: ${asRosettaVmError(thrown).why}`;
    if (error === null) bench.onProgress({ kind: 'note', message });
  });
  return await ended(recorder, error);
}

/** The session as it is kept. A disk that is full now ends it too: the file is as it was after the last sample, and says partial. */
export async function ended(recorder: Recorder, error: unknown): Promise<SessionResult> {
  let reason = error;
  if (error === null) {
    try {
      return { session: await recorder.save('complete'), error };
    } catch (full) {
      reason = full;
    }
  }
  const { what, why } = asRosettaVmError(reason);
  const words = `${what} ${why}`.trim();
  const session = await recorder.save('partial', words).catch(() => recorder.session('partial', words));
  return { session, error: reason };
}

class SessionRun {
  readonly #options: SessionOptions;
  readonly #sampling: Sampling;
  readonly #remaining = new Remaining();
  readonly #budget: Budget;
  /** For want of time. */
  readonly #givenUp = new Set<Planned>();
  /** Null: it could not be prepared. */
  readonly #runners = new Map<Planned, BenchmarkRunner | null>();

  constructor(options: SessionOptions) {
    const { recorder, clock, bench, tier, now } = options;
    this.#options = options;
    this.#budget = new Budget(budgetOf(tier, recorder.session('partial').fingerprint), now);
    this.#sampling = new Sampling({
      ...{ recorder, clock, remaining: this.#remaining, onProgress: bench.onProgress },
      proveAlive: () => bench.agent.health({ signal: bench.signal }),
    });
  }

  async measure(): Promise<void> {
    const { planned, runs, recorder, noiseFloor } = this.#options;
    const rule: Rule = runs === null ? DEFAULT_RULE : ONE_LOOK;
    await recorder.save('partial', NOT_ENDED);
    let open: readonly Planned[] = planned;
    for (let round = 1; open.length > 0; round += 1) {
      await this.#round(open, round);
      const sofar = comparable(recorder.session('partial'));
      const next = nextRound(armComparisons(sofar, noiseFloor), round, rule);
      // A row's key begins with suite and benchmark (compare/row.ts); neither has a blank.
      const undecided = next.another ? next.benchmarks.map((key) => key.split(' ').slice(0, 2).join('/')) : [];
      const names = new Set([...undecided, ...(round < rule.rounds ? tooFewToCompare(sofar) : [])]);
      open = this.#affordable(planned.filter(({ chosen }) => names.has(keyOf(chosen))));
    }
  }

  #affordable(open: readonly Planned[]): readonly Planned[] {
    const { bench, tier } = this.#options;
    const taken = this.#budget.affordable(open.filter((one) => !this.#givenUp.has(one)));
    const left = open.filter((one) => !taken.includes(one) && !this.#givenUp.has(one));
    for (const one of left) this.#givenUp.add(one);
    if (left.length > 0) {
      const names = left.map(({ chosen }) => keyOf(chosen)).join(', ');
      const message = `The time of the tier ${tier} is over: ${names} would need more runs (--tier standard).`;
      bench.onProgress({ kind: 'note', message });
    }
    return taken;
  }

  async #round(open: readonly Planned[], round: number): Promise<void> {
    const { recorder } = this.#options;
    for (const one of open) {
      for (const arm of one.arms) {
        const subject = subjectOf(one, arm);
        if (!recorder.isRejected(subject)) this.#remaining.plan(measurementKey(subject), this.#runsOf(one));
      }
    }
    for (const one of open) {
      await this.#benchmark(one, round);
      await recorder.save('partial', NOT_ENDED);
    }
  }

  #runsOf({ chosen }: Planned): number {
    const { runs, tier } = this.#options;
    return runs ?? chosen.benchmark.runs ?? EXTENTS[tier].runs;
  }

  async #benchmark(planned: Planned, round: number): Promise<void> {
    const runner = await this.#prepared(planned);
    if (runner !== null) await this.#budget.round(planned, () => this.#samples(planned, runner, round));
  }

  async #samples(planned: Planned, runner: BenchmarkRunner, round: number): Promise<void> {
    const { benchmark } = planned.chosen;
    const subjects = planned.arms.map((arm) => subjectOf(planned, arm));
    const titleOf = ({ arm }: Subject, what: string): string => `${benchmark.title}: ${describeArm(arm)}, ${what}`;
    for (let run = 0; round === 1 && run < runner.warmUps; run += 1) {
      for (const subject of subjects) await this.#sampling.take(runner, subject, titleOf(subject, 'untimed'), null);
    }
    const order = roundOrder(subjects.map(measurementKey), this.#runsOf(planned), round);
    for (const [index, key] of order.entries()) {
      const subject = subjects.find((one) => measurementKey(one) === key) as Subject;
      await this.#sampling.take(runner, subject, titleOf(subject, `${index + 1} of ${order.length}`), round);
    }
  }

  /** A benchmark that cannot be prepared is broken in all of its arms. */
  async #prepared(planned: Planned): Promise<BenchmarkRunner | null> {
    const known = this.#runners.get(planned);
    if (known !== undefined) return known;
    const { bench, prepare } = this.#options;
    const { title } = planned.chosen.benchmark;
    try {
      const runner = await stage(bench.onProgress, 'bench.prepare', `Preparing: ${title}`, () =>
        prepare(bench, planned),
      );
      this.#runners.set(planned, runner);
      return runner;
    } catch (error) {
      for (const arm of planned.arms) await this.#sampling.reject(subjectOf(planned, arm), title, error);
      this.#runners.set(planned, null);
      return null;
    }
  }

  /** What cannot be removed in a machine that is gone went with it, or goes before the next session. */
  async dispose(): Promise<void> {
    for (const runner of this.#runners.values()) await runner?.dispose().catch(() => {});
  }
}

const NOT_ENDED = 'It was written while the session ran.';

export function subjectOf({ chosen }: Planned, arm: Arm): Subject {
  return { suite: chosen.suite.suite, benchmark: chosen.benchmark.id, arm };
}
