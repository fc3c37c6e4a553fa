/** A user's own image, built again and again in each arm: every step that starts programs is a benchmark. */
import type { BuildRequest } from '../../host/build/request.ts';
import type { BuildStep } from '../../host/build/steps.ts';
import { asRosettaVmError, type ErrorCode } from '../../host/errors.ts';
import type { TranslatorName } from '../../host/index.ts';
import { stage } from '../../host/progress.ts';
import { interleave } from '../schedule.ts';
import { type Arm, armName } from '../session.ts';
import { timedBuild } from '../timed-build.ts';
import type { Bench } from './benchmark-runner.ts';
import type { Recorder } from './recorder.ts';
import type { SessionResult } from './run-session.ts';
import { describeArm } from './sampling.ts';

export const BUILD_SUITE = 'build';
/** From the begin of the first step to the end of the last one. */
export const WHOLE_BUILD = 'whole build';

export interface BuildSessionOptions {
  readonly bench: Pick<Bench, 'agent' | 'modes' | 'signal' | 'onProgress'>;
  readonly request: BuildRequest;
  readonly arms: readonly Arm[];
  /** Timed builds in each arm. */
  readonly runs: number;
  /** Longest time of one build, ms. */
  readonly limitMs: number;
  readonly recorder: Recorder;
}

/** What fails in one arm may succeed in the next; anything else is the machine's. */
const OF_THE_BUILD: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['E_BUILD', 'E_STATE', 'E_TIMEOUT']);

/** As {@link runSession}, of builds: the machine is brought back into its own mode, and what was measured is kept. */
export async function runBuildSession(options: BuildSessionOptions): Promise<SessionResult> {
  const { bench, recorder } = options;
  const error = await measure(options).then(
    () => null,
    (thrown: unknown) => thrown ?? new Error('The session ended.'),
  );
  await bench.modes.restore().catch(() => {});
  if (error === null) return { session: await recorder.save('complete'), error };
  const { what, why } = asRosettaVmError(error);
  return { session: await recorder.save('partial', `${what} ${why}`.trim()), error };
}

/** One build in each arm is not timed: it brings base images, and fills the cache of the warm arms. */
async function measure({ bench, request, arms, runs, limitMs, recorder }: BuildSessionOptions): Promise<void> {
  const { agent, modes, signal, onProgress } = bench;
  const names = arms.map(armName);
  const order = [...names, ...interleave(names.map((name) => [name, runs] as const))];
  for (const [index, name] of order.entries()) {
    const arm = arms.find((one) => armName(one) === name) as Arm;
    const title = describeArm(arm);
    const whole = { suite: BUILD_SUITE, benchmark: WHOLE_BUILD, arm };
    if (recorder.isRejected(whole)) continue;
    try {
      await modes.set(arm.dimensions.translator as TranslatorName, arm.dimensions.cache !== 'off');
      if (arm.dimensions.cache === 'cold') await agent.cachePrune({ all: true }, { signal });
      const steps = await stage(onProgress, 'bench.build', `Build ${index + 1} of ${order.length}: ${title}`, () =>
        timedBuild(agent, request, limitMs, signal),
      );
      if (index < names.length) continue;
      for (const [benchmark, value] of stepSeconds(steps)) {
        recorder.add({ suite: BUILD_SUITE, benchmark, arm }, { value, counts: {} }, 1, SECONDS);
      }
    } catch (error) {
      const { code, what, why } = asRosettaVmError(error);
      if (!OF_THE_BUILD.has(code) || signal.aborted) throw error;
      recorder.reject(whole, `${what} ${why}`.trim());
      onProgress({ kind: 'note', message: `${title} does not count. ${what}` });
    }
    await recorder.save('partial', 'It was written while the session ran.');
  }
}

const SECONDS = { unit: 'seconds', smallerIsBetter: true } as const;

/** The longest name that a session's file holds. */
const MAX_NAME = 200;

/** Seconds of each step that starts programs, by its name, and of the whole. */
export function stepSeconds(steps: readonly BuildStep[]): Map<string, number> {
  const timed = steps.flatMap(({ name, runs, startedMs, completedMs }) =>
    startedMs === undefined || completedMs === undefined ? [] : [{ name, runs, startedMs, completedMs }],
  );
  const found = new Map(
    timed
      .filter(({ runs }) => runs)
      .map(({ name, startedMs, completedMs }) => [name.slice(0, MAX_NAME), (completedMs - startedMs) / 1000] as const),
  );
  if (timed.length === 0) return found;
  const begun = Math.min(...timed.map(({ startedMs }) => startedMs));
  const ended = Math.max(...timed.map(({ completedMs }) => completedMs));
  return found.set(WHOLE_BUILD, (ended - begun) / 1000);
}
