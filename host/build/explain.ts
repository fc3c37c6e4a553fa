/**
 * What really happened in each step: which translators ran how often, and what the translation cache gave. The router's
 * counters are of the whole guest, so a step's numbers are the difference between its end and its beginning; where
 * steps overlap in time the report says so instead of guessing.
 */
import type { TranslatorName } from '../../guest/protocol.ts';
import type { ExecCounts } from '../../guest/translation-protocol.ts';
import type { AgentClient } from '../channel/agent-client.ts';
import type { BuildStep, StepEvent } from './steps.ts';

export interface StepReport {
  readonly number: number;
  readonly name: string;
  /** Length, ms; 0 when it was taken from the build cache. */
  readonly ms: number;
  readonly cached: boolean;
  readonly failed: boolean;
  /** Null: the step starts no programs, or they are not counted. */
  readonly translators: readonly { readonly name: TranslatorName; readonly execs: number }[] | null;
  /** Null: the step starts no programs, or the cache's activity is not known. */
  readonly cache: {
    readonly newEntries: number;
    readonly newBytes: number;
    readonly reusedEntries: number;
  } | null;
  /** Numbers of the steps that ran programs at the same time: then the counts are of all of them together. */
  readonly overlaps: readonly number[];
}

type Measured = Pick<StepReport, 'translators' | 'cache'>;

const NOTHING: Measured = { translators: null, cache: null };

/** The cache's activity is a matter of the moment: its files' times are asked for as soon as a step ends. */
type Measuring = Pick<AgentClient, 'execCounts' | 'cacheActivity'>;

export class StepObserver {
  readonly #agent: Measuring;
  readonly #before = new Map<string, Promise<ExecCounts | null>>();
  readonly #measured = new Map<string, Promise<Measured>>();

  constructor(agent: Measuring) {
    this.#agent = agent;
  }

  take(event: StepEvent): void {
    if (event.kind !== 'started' && event.kind !== 'completed') return;
    const { step } = event;
    if (!step.runs || step.cached) return;
    if (event.kind === 'started') this.#before.set(step.digest, this.#counts());
    else this.#measured.set(step.digest, this.#measure(step));
  }

  /** The report, when all that was asked of the guest is answered. */
  async report(steps: readonly BuildStep[]): Promise<StepReport[]> {
    return await Promise.all(
      steps.map(async (step) => ({
        number: step.number,
        name: step.name,
        ms: duration(step),
        cached: step.cached,
        failed: step.error !== '',
        ...((await this.#measured.get(step.digest)) ?? NOTHING),
        overlaps: overlapping(step, steps),
      })),
    );
  }

  async #measure({ digest, startedMs, completedMs }: BuildStep): Promise<Measured> {
    if (startedMs === undefined || completedMs === undefined) return NOTHING;
    const [before, after, activity] = await Promise.all([
      this.#before.get(digest) ?? null,
      this.#counts(),
      this.#agent.cacheActivity({ sinceMs: startedMs, untilMs: completedMs }).catch(() => null),
    ]);
    return {
      translators: before === null || after === null ? null : difference(before, after),
      cache:
        activity === null || activity.backend === 'none'
          ? null
          : { newEntries: activity.newEntries, newBytes: activity.newBytes, reusedEntries: activity.reusedEntries },
    };
  }

  /** An explanation must not fail a build: what cannot be asked is not known. */
  async #counts(): Promise<ExecCounts | null> {
    const counts = await this.#agent.execCounts().catch(() => null);
    return counts?.counted === true ? counts : null;
  }
}

function difference(before: ExecCounts, after: ExecCounts): NonNullable<StepReport['translators']> {
  return after.translators
    .map(({ name, execs }) => ({
      name,
      execs: execs - (before.translators.find((one) => one.name === name)?.execs ?? 0),
    }))
    .filter(({ execs }) => execs > 0);
}

function duration({ startedMs, completedMs, cached }: BuildStep): number {
  if (cached || startedMs === undefined || completedMs === undefined) return 0;
  return Math.max(0, completedMs - startedMs);
}

function overlapping(step: BuildStep, steps: readonly BuildStep[]): number[] {
  if (!step.runs || step.cached) return [];
  return steps
    .filter((other) => other !== step && other.runs && !other.cached && overlap(step, other))
    .map(({ number }) => number);
}

function overlap(one: BuildStep, other: BuildStep): boolean {
  if (one.startedMs === undefined || other.startedMs === undefined) return false;
  const end = (step: BuildStep): number => step.completedMs ?? Number.POSITIVE_INFINITY;
  return one.startedMs < end(other) && other.startedMs < end(one);
}
