/** How many samples a verdict takes: between the arms of a session, and between it and a later one. */
import { count } from '../../host/cli/format.ts';
import { ONE_LOOK, type Rule } from '../statistics/comparison.ts';
import { fewestRuns } from '../statistics/mann-whitney.ts';
import { baseOf } from './arms.ts';
import { benchmarkName, type ComparableSession, type Place } from './comparable.ts';

/**
 * The runs that each side of a comparison of so many rows needs for the least p that it could give to count: `bench compare`
 * looks once, and adjusts for every arm of every benchmark.
 */
export const runsToCompare = (rows: number, { alpha, minimumRuns }: Rule = ONE_LOOK): number =>
  Math.max(minimumRuns, fewestRuns(alpha / Math.max(1, rows)));

/**
 * Benchmarks with an arm that has fewer, as `suite/benchmark`. Also of those that have a single arm, where no difference
 * between arms asks for another round. An arm that broke stays as it is.
 */
export function tooFewToCompare({ measurements }: Pick<ComparableSession, 'measurements'>): string[] {
  const measured = measurements.filter(({ failed }) => failed === 0);
  const needed = runsToCompare(measured.length);
  return [...new Set(measured.filter(({ values }) => values.length < needed).map(benchmarkName))];
}

/**
 * Said while there is time to begin anew, of a session that is measured in one round: with so few runs in each arm no verdict
 * between arms could be more than inconclusive. Null when one could, or when no arm is held against another.
 */
export function tooFewToProve(places: readonly Place[], runs: number): string | null {
  const pairs = places.filter((place) => baseOf(place, places) !== undefined).length;
  const needed = runsToCompare(pairs);
  if (pairs === 0 || runs >= needed) return null;
  return `${count(runs, 'run')} in each arm can prove no difference among ${count(pairs, 'comparison')}; --runs ${needed} can.`;
}
