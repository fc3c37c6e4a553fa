/** A user's own image, built again and again in each arm: every step that starts programs is a benchmark. */
import path from 'node:path';
import type { BuildRequest } from '../../host/build/request.ts';
import type { BuildStep } from '../../host/build/steps.ts';
import { asRosettaVmError } from '../../host/errors.ts';
import type { TranslatorName } from '../../host/index.ts';
import { stage } from '../../host/progress.ts';
import { tooFewToProve } from '../compare/runs-needed.ts';
import { interleave } from '../schedule.ts';
import { type Arm, armName } from '../session.ts';
import { timedBuild } from '../timed-build.ts';
import { isOfTheArm } from './arm-failure.ts';
import type { Bench } from './benchmark-runner.ts';
import { type ClockWatch, undisturbed } from './clock.ts';
import type { Recorder } from './recorder.ts';
import { ended, type SessionResult } from './run-session.ts';
import { describeArm } from './sampling.ts';
import { countTranslations, type Span } from './translations.ts';

export const WHOLE_BUILD = 'whole build';

/** The longest name that a session's file holds. */
const MAX_NAME = 200;

/**
 * The suite that a user's image is, so that two images are never compared: `build:my-app`, `build:my-app:Dockerfile.slim`,
 * `build:my-app@tests`. What is in the Dockerfile, and its arguments, may change from one session to the next.
 */
export function buildSuite({
  context,
  dockerfile,
  target,
}: Pick<BuildRequest, 'context' | 'dockerfile' | 'target'>): string {
  const file = typeof dockerfile === 'string' ? path.relative(context, path.resolve(dockerfile)) : 'Dockerfile';
  const parts = [
    `build:${path.basename(path.resolve(context))}`,
    ...(file === 'Dockerfile' ? [] : [`:${file}`]),
    ...(target === null ? [] : [`@${target}`]),
  ];
  return parts.join('').replaceAll(/\s/g, '-').slice(0, MAX_NAME);
}

export interface BuildSessionOptions {
  readonly bench: Pick<Bench, 'agent' | 'modes' | 'signal' | 'onProgress'>;
  readonly request: BuildRequest;
  readonly arms: readonly Arm[];
  /** Timed builds in each arm. */
  readonly runs: number;
  /** Longest time of one build, ms. */
  readonly limitMs: number;
  readonly recorder: Recorder;
  readonly clock: ClockWatch;
  /** Builds it once; default: {@link timedBuild}. */
  readonly build?: () => Promise<readonly BuildStep[]>;
}

/** As {@link runSession}, of builds: the machine is brought back into its own mode, and what was measured is kept. */
export async function runBuildSession(options: BuildSessionOptions): Promise<SessionResult> {
  const { bench, recorder } = options;
  const run = new BuildRun(options);
  const error = await run.measure().then(
    () => null,
    (thrown: unknown) => thrown ?? new Error('The session ended.'),
  );
  run.rejectSteps();
  await bench.modes.restore().catch(() => {});
  return await ended(recorder, error);
}

class BuildRun {
  readonly #options: BuildSessionOptions;
  readonly #suite: string;
  /** Every benchmark that some build had. */
  readonly #benchmarks = new Set<string>();
  readonly #failed: { readonly arm: Arm; readonly reason: string }[] = [];

  constructor(options: BuildSessionOptions) {
    this.#options = options;
    this.#suite = buildSuite(options.request);
  }

  /** One build in each arm is not timed: it brings base images, and fills the cache of the warm arms. */
  async measure(): Promise<void> {
    const { arms, runs, recorder } = this.#options;
    const names = arms.map(armName);
    const order = [...names, ...interleave(names.map((name) => [name, runs] as const))];
    for (const [index, name] of order.entries()) {
      if (index === names.length) this.#warnOfFewRuns();
      const arm = arms.find((one) => armName(one) === name) as Arm;
      if (recorder.isRejected({ suite: this.#suite, benchmark: WHOLE_BUILD, arm })) continue;
      const title = `Build ${index + 1} of ${order.length}: ${describeArm(arm)}`;
      await this.#take(arm, title, index >= names.length);
      await recorder.save('partial', 'It was written while the session ran.');
    }
  }

  #warnOfFewRuns(): void {
    const { arms, runs, bench } = this.#options;
    const benchmarks = [...this.#benchmarks];
    const places = benchmarks.flatMap((benchmark) => arms.map((arm) => ({ suite: this.#suite, benchmark, arm })));
    const message = tooFewToProve(places, runs);
    if (message !== null) bench.onProgress({ kind: 'note', message });
  }

  async #take(arm: Arm, title: string, isTimed: boolean): Promise<void> {
    const { bench, clock, recorder } = this.#options;
    try {
      const { result: steps, counts } = await undisturbed(clock, bench.onProgress, () =>
        countTranslations(bench, arm, () => this.#build(arm, title), spanOf),
      );
      const seconds = stepSeconds(steps);
      for (const benchmark of seconds.keys()) this.#benchmarks.add(benchmark);
      if (!isTimed) return;
      for (const [benchmark, value] of seconds) {
        // The counters are the whole machine's, and steps may run side by side.
        const own = benchmark === WHOLE_BUILD ? counts : {};
        recorder.add({ suite: this.#suite, benchmark, arm }, { value, counts: own }, 1, SECONDS);
      }
    } catch (error) {
      if (!isOfTheArm(error) || bench.signal.aborted) throw error;
      await bench.agent.health({ signal: bench.signal });
      const { what, why } = asRosettaVmError(error);
      const reason = `${what} ${why}`.trim();
      this.#failed.push({ arm, reason });
      recorder.reject({ suite: this.#suite, benchmark: WHOLE_BUILD, arm }, reason);
      bench.onProgress({ kind: 'note', message: `${describeArm(arm)} does not count. ${what}` });
    }
  }

  async #build(arm: Arm, title: string): Promise<readonly BuildStep[]> {
    const { bench, request, limitMs, build } = this.#options;
    const { agent, modes, signal, onProgress } = bench;
    await modes.set(arm.dimensions.translator as TranslatorName, arm.dimensions.cache !== 'off');
    if (arm.dimensions.cache === 'cold') await modes.emptyCache(signal);
    const once = build ?? (() => timedBuild(agent, request, limitMs, signal));
    return await stage(onProgress, 'bench.build', title, once);
  }

  /** A step of a build that failed was not reached, or is the one that failed: none has a time in that arm. */
  rejectSteps(): void {
    const { recorder } = this.#options;
    for (const { arm, reason } of this.#failed) {
      for (const benchmark of this.#benchmarks) {
        const subject = { suite: this.#suite, benchmark, arm };
        if (!recorder.isRejected(subject)) recorder.reject(subject, reason);
      }
    }
  }
}

const SECONDS = { unit: 'seconds', smallerIsBetter: true } as const;

type TimedStep = Required<Pick<BuildStep, 'name' | 'runs' | 'startedMs' | 'completedMs'>>;

const timedSteps = (steps: readonly BuildStep[]): TimedStep[] =>
  steps.flatMap(({ name, runs, startedMs, completedMs }) =>
    startedMs === undefined || completedMs === undefined ? [] : [{ name, runs, startedMs, completedMs }],
  );

/** From the begin of the first step to the end of the last one; BuildKit tells times of the guest's clock. */
function spanOf(steps: readonly BuildStep[]): Span {
  const timed = timedSteps(steps);
  if (timed.length === 0) return { sinceMs: 0, untilMs: 0 };
  return {
    sinceMs: Math.min(...timed.map(({ startedMs }) => startedMs)),
    untilMs: Math.max(...timed.map(({ completedMs }) => completedMs)),
  };
}

/** Seconds of each step that starts programs, by its name, and of the whole. */
export function stepSeconds(steps: readonly BuildStep[]): Map<string, number> {
  const timed = timedSteps(steps);
  const found = new Map(
    timed
      .filter(({ runs }) => runs)
      .map(({ name, startedMs, completedMs }) => [name.slice(0, MAX_NAME), (completedMs - startedMs) / 1000] as const),
  );
  if (timed.length === 0) return found;
  const { sinceMs, untilMs } = spanOf(steps);
  return found.set(WHOLE_BUILD, (untilMs - sinceMs) / 1000);
}
