/** Whether one of two samples tends to have the greater values. Every sample must have at least one value. */
import { normalCdf } from './normal.ts';
import { type Ranking, rank, tiedDistribution, untiedDistribution } from './rank-sum-distribution.ts';

export interface MannWhitney {
  /** How often a value of the second sample beats one of the first; a tie counts one half. R's W of (second, first). */
  readonly u: number;
  /** Two-sided. */
  readonly p: number;
  readonly method: 'exact' | 'normal';
}

/** Up to so many pairs of values (50 × 50) p is exact, with ties as well: that takes at most some 40 ms. */
export const MOST_EXACT_PAIRS = 2500;

/**
 * The test of H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger
 * than the Other" (1947). p is twice the smaller tail, at most 1: R's `wilcox.test(exact = TRUE)` and scipy's
 * `mannwhitneyu`; with ties it is that of all permutations. Beyond `MOST_EXACT_PAIRS` it is the normal approximation with
 * the variance corrected for ties and half a step for continuity, as `wilcox.test(exact = FALSE)` has it.
 */
export function mannWhitney(first: readonly number[], second: readonly number[]): MannWhitney {
  const pairs = first.length * second.length;
  // The distribution is cheapest to count for the smaller sample; the other's is its mirror image, with the same p.
  const [smaller, greater] = first.length <= second.length ? [first, second] : [second, first];
  const ranking = rank(smaller, greater);
  const u = smaller === second ? ranking.u : pairs - ranking.u;
  return pairs <= MOST_EXACT_PAIRS
    ? { u, p: exactP(ranking, smaller.length), method: 'exact' }
    : { u, p: normalP(ranking, first.length, second.length), method: 'normal' };
}

function exactP({ doubledRanks, u, ties }: Ranking, chosen: number): number {
  const { probabilities, scale } =
    ties === 0 ? untiedDistribution(doubledRanks.length, chosen) : tiedDistribution(doubledRanks, chosen);
  const place = Math.round(u * scale);
  const lower = sum(probabilities.subarray(0, place + 1));
  const upper = sum(probabilities.subarray(place));
  return Math.min(1, 2 * Math.min(lower, upper));
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

/** Variance under ties: Lehmann, "Nonparametrics" (1975), 1.3; Hollander, Wolfe and Chicken (2014), 4.1. */
function normalP({ u, ties }: Ranking, n: number, m: number): number {
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)));
  if (variance <= 0) return 1;
  const distance = Math.max(0, Math.abs(u - (n * m) / 2) - 0.5);
  return 2 * normalCdf(-distance / Math.sqrt(variance));
}

/**
 * The smallest two-sided p that samples of n and m values can give at all, when none of one exceeds any of the other:
 * 2 / C(n+m, n). 0.1 for 3 against 3, 0.029 for 4, 0.0079 for 5, 0.0022 for 6.
 */
export function smallestP(n: number, m: number): number {
  let orders = 1;
  for (let index = 1; index <= Math.min(n, m); index++) orders *= (Math.max(n, m) + index) / index;
  return Math.min(1, 2 / orders);
}

/** The fewest runs of each of two arms that can give a p below this one. */
export function fewestRuns(p: number): number {
  let runs = 1;
  while (smallestP(runs, runs) >= p) runs++;
  return runs;
}
