/** Takes the samples of one benchmark, and throws away what did not do its work. */
import { asRosettaVmError } from '../../host/errors.ts';
import { type ProgressSink, stage } from '../../host/progress.ts';
import { measurementKey } from '../compare/comparable.ts';
import { type Arm, armName } from '../session.ts';
import { isOfTheArm } from './arm-failure.ts';
import type { BenchmarkRunner } from './benchmark-runner.ts';
import { type ClockWatch, undisturbed } from './clock.ts';
import type { Recorder, Subject } from './recorder.ts';
import type { Remaining } from './remaining.ts';

export interface SamplingOptions {
  readonly recorder: Recorder;
  readonly clock: ClockWatch;
  readonly remaining: Remaining;
  readonly onProgress: ProgressSink;
  /** Throws when the machine does not answer any more: then a failure says nothing about the arm. */
  readonly proveAlive: () => Promise<unknown>;
}

export class Sampling {
  readonly #options: SamplingOptions;

  constructor(options: SamplingOptions) {
    this.#options = options;
  }

  /**
   * Takes one, timed or not, unless the arm is broken already: its next sample would take as long to fail. Resolves to
   * whether it counts. Throws what ends the session.
   */
  async take(runner: BenchmarkRunner, subject: Subject, title: string, round: number | null): Promise<boolean> {
    const { recorder, remaining, clock, onProgress } = this.#options;
    if (recorder.isRejected(subject)) return false;
    const key = measurementKey(subject);
    const begun = performance.now();
    try {
      const sample = await stage(onProgress, 'bench.sample', `${title}${remaining.text}`, () =>
        undisturbed(clock, onProgress, () => runner.sample(subject.arm)),
      );
      if (round === null) recorder.check(subject, sample);
      else recorder.add(subject, sample, round, runner);
    } catch (error) {
      await this.reject(subject, title, error);
      return false;
    }
    if (round !== null) remaining.took(key, performance.now() - begun);
    return true;
  }

  /** Throws `error` itself when it is not the arm's. */
  async reject(subject: Subject, title: string, error: unknown): Promise<void> {
    const { recorder, remaining, onProgress, proveAlive } = this.#options;
    if (!isOfTheArm(error)) throw error;
    const { what, why } = asRosettaVmError(error);
    await proveAlive();
    const reason = `${what} ${why}`.trim();
    recorder.reject(subject, reason);
    remaining.drop(measurementKey(subject));
    onProgress({ kind: 'note', message: `${title} does not count. ${reason}` });
  }
}

/** For people: `cache=warm, translator=box64`, `native arm64`. */
export const describeArm = (arm: Arm): string =>
  [...(arm.native ? ['native arm64'] : []), armName({ ...arm, native: false }).replaceAll(',', ', ')]
    .filter((part) => part !== '')
    .join(', ');
