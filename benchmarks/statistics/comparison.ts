/** What is compared, by which rule, and what can come out. Plain data, fit for JSON. */
import type { Interval } from './hodges-lehmann.ts';
import { provableSessionChange, type SessionNoise, sessionThreshold } from './session-noise.ts';

/** The good samples of one arm, and how many failed or gave a wrong result. */
export interface Arm {
  readonly values: readonly number[];
  readonly failed: number;
}

export interface Metric {
  /** Free of noise, such as a number of programs started: the values are compared exactly, not tested. */
  readonly exact: boolean;
  readonly better: 'lower' | 'higher';
}

export const TIME: Metric = { exact: false, better: 'lower' };
export const COUNT: Metric = { exact: true, better: 'lower' };

/** One benchmark, measured in two arms. */
export interface Comparison {
  readonly metric: Metric;
  /** Seconds, bytes a second, a count: any unit, the same in both arms. Above 0 unless exact. */
  readonly base: Arm;
  readonly change: Arm;
  /** From `noiseFloor`: 0.012 is 1.2 %. Null when this machine was not calibrated for this benchmark. */
  readonly noiseFloor: number | null;
  /**
   * Of arms of two sessions: how far sessions differ with equal programs; null when that is not known. Absent for arms of one
   * session, whose samples were taken in turn.
   */
  readonly sessions?: SessionNoise | null | undefined;
  /** In what the two arms' machines differ. Any entry makes the arms incomparable. */
  readonly differences: readonly string[];
}

export interface Rule {
  /** The chance of any false alarm that a suite of equal arms may have, over all its benchmarks and rounds. */
  readonly alpha: number;
  /** The smallest change that counts: 0.03 is 3 %. */
  readonly minimumChange: number;
  /** No wider interval is called the same, however much noise hides in it: 0.11 is 11 %. */
  readonly greatestSame: number;
  /** Runs that each arm needs before anything is said of it. */
  readonly minimumRuns: number;
  /** How often the data may be looked at while it grows; each look has its share of `alpha`. */
  readonly rounds: number;
}

/** Sources: docs/STATISTICS.md. Below five runs an arm no p can be under 0.01; four rounds are Firecracker's. */
export const DEFAULT_RULE: Rule = { alpha: 0.01, minimumChange: 0.03, greatestSame: 0.11, minimumRuns: 5, rounds: 4 };

/** Of data that are complete and looked at once: two sessions, or one that was measured in a single round. */
export const ONE_LOOK: Rule = { ...DEFAULT_RULE, rounds: 1 };

/** The threshold is at least so many noise floors wide. */
const NOISE_FLOORS = 2;

/**
 * The change that counts in this comparison, as a share: the rule's, or twice the noise floor, or what two sessions of equal
 * programs differ by, where that is more. `tests`: rows of the suite that are tested.
 */
export function threshold(
  { metric, noiseFloor, sessions }: Comparison,
  { minimumChange, alpha }: Rule,
  tests: number,
): number {
  if (metric.exact) return 0;
  const between = sessions === undefined || sessions === null ? 0 : sessionThreshold(sessions, alpha, tests);
  return Math.max(minimumChange, NOISE_FLOORS * (noiseFloor ?? 0), between);
}

/** The change that can be proved in it, as a share: more than counts, where it is not well known how far two sessions differ. */
export function provable(comparison: Comparison, rule: Rule, tests: number): number {
  const { metric, sessions } = comparison;
  const counts = threshold(comparison, rule, tests);
  return metric.exact || sessions === undefined
    ? counts
    : Math.max(counts, provableSessionChange(sessions, rule.alpha, tests));
}

/** The numbers behind a verdict. */
export interface Evidence {
  /**
   * What the change costs, over what the base costs: 1.05 is 5 % worse, in whichever direction better lies. Null only for
   * a count that is 0 in one arm.
   */
  readonly ratio: number | null;
  readonly interval: Interval | null;
  /** Two-sided; null for exact metrics, which are not tested. */
  readonly p: number | null;
  /** p times the rounds that the rule allows, after Holm over the suite: what is held against alpha. */
  readonly adjustedP: number | null;
  /** The change that counts here: see `threshold`. */
  readonly threshold: number;
  /** The change that can be proved here: see `provable`. */
  readonly provable: number;
  readonly runs: { readonly base: number; readonly change: number };
}

export type Doubt =
  /** With so few runs no result could have been significant, or the rule asks for more of them. */
  | 'too-few-runs'
  /** The change is great enough, but it may be chance. */
  | 'not-significant'
  /** The change is small, but the interval does not rule out one that counts. */
  | 'interval-too-wide'
  /** The change is no chance between runs, but how far two sessions of equal programs differ here is not known well enough. */
  | 'sessions-unknown'
  /** Less than what counts here, but noise makes that so much that a change which people would mind may hide in it. */
  | 'machine-too-noisy'
  /** Work that needs no translator changed as much in the same direction: it is the machine. */
  | 'machine-moved'
  /** An exact metric differs between the runs of one arm. More runs do not help. */
  | 'count-varies';

export type Verdict =
  | ({ readonly kind: 'faster' | 'slower' | 'same' } & Evidence)
  | ({
      readonly kind: 'inconclusive';
      readonly because: Doubt;
      /** Estimate of what each arm needs on top, if the values go on as they are; null when no sensible number would do. */
      readonly moreRuns: number | null;
    } & Evidence)
  | { readonly kind: 'broken'; readonly arm: 'base' | 'change'; readonly because: Defect }
  | { readonly kind: 'not-comparable'; readonly differences: readonly string[] };

export type Defect =
  | 'no-samples'
  | 'failed-samples'
  /** A time of 0 or less, or what is no finite number. */
  | 'impossible-value';
