/** Where a series may have changed, by the energy distance between the values before and after. */
import { studentTest } from './t-test.ts';

export interface Candidate {
  /** Of the first value after the change. */
  readonly index: number;
  /** Energy distance between the two sides, scaled by their sizes: Q̂ of Matteson and James. */
  readonly distance: number;
}

/**
 * Candidates in `series`: the hierarchical division of D. S. Matteson and N. A. James, "A Nonparametric Approach for Multiple
 * Change Point Analysis of Multivariate Data" (2014), with exponent 1. Each part is divided where the distance is greatest,
 * as long as a t-test of the two sides gives a p below `weakP`: the test that Hunter (Fleming and others, 2023) and Apache
 * Otava put in place of permutations. No side has fewer than `minimum` values.
 */
export function eDivisive(series: readonly number[], minimum: number, weakP: number): Candidate[] {
  const distances = sums(series);
  const divide = (start: number, end: number): Candidate[] => {
    const best = farthest(distances, start, end, minimum);
    if (best === null || studentTest(series.slice(start, best.index), series.slice(best.index, end)).p >= weakP)
      return [];
    return [...divide(start, best.index), best, ...divide(best.index, end)];
  };
  return divide(0, series.length);
}

/** Sums of |xᵢ - xⱼ| over a rectangle of pairs. */
interface PairSums {
  /** Over all pairs of one value from [a, b) and one from [c, d). */
  between(a: number, b: number, c: number, d: number): number;
}

/** Summed-area table of all distances: n² numbers, n being a window. */
function sums(series: readonly number[]): PairSums {
  const width = series.length + 1;
  const table = new Float64Array(width * width);
  const at = (row: number, column: number) => table[row * width + column] ?? 0;
  for (const [i, x] of series.entries()) {
    for (const [j, y] of series.entries()) {
      table[(i + 1) * width + j + 1] = Math.abs(x - y) + at(i, j + 1) + at(i + 1, j) - at(i, j);
    }
  }
  return { between: (a, b, c, d) => at(b, d) - at(a, d) - at(b, c) + at(a, c) };
}

/**
 * The place τ in [start, end) with the greatest Q̂ over all ends κ of the right side. κ may lie before `end`, lest a second
 * change further on hides the first (Matteson and James, section 3.1).
 */
function farthest(pairs: PairSums, start: number, end: number, minimum: number): Candidate | null {
  let best: Candidate | null = null;
  for (let index = start + minimum; index <= end - minimum; index++) {
    for (let stop = index + minimum; stop <= end; stop++) {
      const distance = energy(pairs, start, index, stop);
      if (best === null || distance > best.distance) best = { index, distance };
    }
  }
  return best;
}

/** Q̂ = nm/(n+m) · (2·mean distance between the sides - mean distance within the left - mean distance within the right). */
function energy(pairs: PairSums, start: number, index: number, stop: number): number {
  const [n, m] = [index - start, stop - index];
  const between = (2 / (n * m)) * pairs.between(start, index, index, stop);
  const left = pairs.between(start, index, start, index) / (n * (n - 1));
  const right = pairs.between(index, stop, index, stop) / (m * (m - 1));
  return ((n * m) / (n + m)) * (between - left - right);
}
