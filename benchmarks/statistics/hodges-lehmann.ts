/** How many times greater the values of one sample are than those of another. */
import { medianOfSorted } from './descriptive.ts';
import { MOST_EXACT_PAIRS } from './mann-whitney.ts';
import { normalCdf, normalQuantile } from './normal.ts';
import { untiedDistribution } from './rank-sum-distribution.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** How sure it is that the true value lies between them: at least what was asked, unless there are too few values. */
  readonly confidence: number;
}

export interface RatioEstimate {
  readonly ratio: number;
  readonly interval: Interval;
}

/**
 * The ratio second : first with an interval of at least `confidence`. The median of all ratios of one value of the second
 * sample to one of the first is the estimate of J. L. Hodges and E. L. Lehmann, "Estimates of Location Based on Rank
 * Tests" (1963), for the shift between the logarithms. The interval is bounded by two of the sorted ratios, as many from
 * either end as the quantile of Mann and Whitney's U says (Hollander, Wolfe and Chicken, "Nonparametric Statistical
 * Methods" (2014), 4.3; R's `wilcox.test(conf.int = TRUE)` of the logarithms). Ties make it too wide rather than too narrow.
 * All values must be above 0, and every sample must have at least one.
 */
export function hodgesLehmannRatio(
  first: readonly number[],
  second: readonly number[],
  confidence: number,
): RatioEstimate {
  const bases = first.map(Math.log);
  // A typed array sorts by number, and several times faster than a list with a comparison.
  const shifts = new Float64Array(first.length * second.length);
  for (const [row, value] of second.entries()) {
    const log = Math.log(value);
    for (const [column, base] of bases.entries()) shifts[row * bases.length + column] = log - base;
  }
  shifts.sort();
  const { place, reached } = bound(first.length, second.length, 1 - confidence);
  return {
    ratio: Math.exp(medianOfSorted(shifts)),
    interval: {
      low: Math.exp(shifts[place - 1] ?? Number.NaN),
      high: Math.exp(shifts[shifts.length - place] ?? Number.NaN),
      confidence: reached,
    },
  };
}

/** The last place from either end, counted from 1, beyond which no more than `alpha` lies; 1 at least. */
function bound(n: number, m: number, alpha: number): { place: number; reached: number } {
  return n * m <= MOST_EXACT_PAIRS ? exactBound(n, m, alpha) : normalBound(n, m, alpha);
}

function exactBound(n: number, m: number, alpha: number): { place: number; reached: number } {
  const { probabilities } = untiedDistribution(n + m, Math.min(n, m));
  let place = 1;
  let outside = probabilities[0] ?? 1;
  for (;;) {
    const more = outside + (probabilities[place] ?? 1);
    if (more > alpha / 2) break;
    outside = more;
    place++;
  }
  return { place, reached: Math.max(0, 1 - 2 * outside) };
}

function normalBound(n: number, m: number, alpha: number): { place: number; reached: number } {
  const deviation = Math.sqrt((n * m * (n + m + 1)) / 12);
  const place = Math.max(1, Math.floor((n * m) / 2 + normalQuantile(alpha / 2) * deviation));
  return { place, reached: 1 - 2 * normalCdf((place - (n * m) / 2) / deviation) };
}
