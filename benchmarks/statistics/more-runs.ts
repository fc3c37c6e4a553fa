/** How many runs an undecided comparison still needs. Estimates: they take the values seen so far for typical ones. */
import type { Evidence } from './comparison.ts';
import { fewestRuns } from './mann-whitney.ts';
import { normalQuantile } from './normal.ts';

/** What is asked of a p, and how many runs the arm that has fewer of them had so far. */
export interface LevelOfProof {
  readonly p: number;
  readonly runs: number;
}

/** Nobody waits for more runs than this; the answer is then that runs will not settle it. */
const MOST_RUNS = 1000;

/** For this p to come under that which is asked: the distance from 0 in standard errors grows with √runs. */
export function moreRunsForProof(p: number, { p: required, runs }: LevelOfProof): number | null {
  const now = normalQuantile(p / 2);
  const needed = runs * (normalQuantile(required / 2) / now) ** 2;
  return more(Math.max(needed, fewestRuns(required)), runs);
}

/** For the interval, which shrinks with 1/√runs, to fit between the estimate and the threshold. */
export function moreRunsForWidth({ ratio, interval, threshold }: Evidence, runs: number): number | null {
  if (ratio === null || interval === null) return null;
  const estimate = Math.log(ratio);
  const room = Math.log1p(threshold) - Math.abs(estimate);
  const reach = Math.max(Math.log(interval.high) - estimate, estimate - Math.log(interval.low));
  return more(runs * (reach / room) ** 2, runs);
}

function more(needed: number, runs: number): number | null {
  // Also when `needed` is infinite, or not a number because there is nothing to grow.
  return needed - runs <= MOST_RUNS ? Math.max(1, Math.ceil(needed - runs)) : null;
}
