/** What the rank sum of one of two samples looks like when nothing tells the samples apart. */

export interface Ranking {
  /** Ranks of the values in ascending order, times two, so that the mean rank of tied values is whole. */
  readonly doubledRanks: readonly number[];
  /** Of the first sample's values, how often each beats one of the second; a tie counts one half. Mann and Whitney's U. */
  readonly u: number;
  /** Σ(t³ - t) over groups of t equal values; 0 without ties. */
  readonly ties: number;
}

/** Ranks the values of two samples among each other. */
export function rank(first: readonly number[], second: readonly number[]): Ranking {
  const pooled = [
    ...first.map((value) => ({ value, inFirst: true })),
    ...second.map((value) => ({ value, inFirst: false })),
  ].sort((a, b) => a.value - b.value);
  const doubledRanks: number[] = [];
  let doubledSum = 0;
  let ties = 0;
  for (let start = 0; start < pooled.length; ) {
    let end = start;
    while (end < pooled.length && pooled[end]?.value === pooled[start]?.value) end++;
    const size = end - start;
    // Ranks count from 1: the mean of start+1 … end, doubled.
    const doubledRank = start + 1 + end;
    ties += size ** 3 - size;
    for (; start < end; start++) {
      doubledRanks.push(doubledRank);
      if (pooled[start]?.inFirst) doubledSum += doubledRank;
    }
  }
  return { doubledRanks, u: doubledSum / 2 - (first.length * (first.length + 1)) / 2, ties };
}

/** The distribution of U: `probabilities[i]` is that of U = i / scale. */
export interface UDistribution {
  readonly probabilities: Float64Array;
  readonly scale: 1 | 2;
}

/**
 * U of `chosen` values drawn at random from values with these ranks, by counting the draws for each sum: the shift
 * algorithm of Streitberg and Röhmel, "Exact Distributions for Permutation and Rank Tests" (1986), which holds with ties.
 * `chosen` must not be more than half of the values. Steps: values × chosen × pairs × 2.
 */
export function tiedDistribution(doubledRanks: readonly number[], chosen: number): UDistribution {
  return { probabilities: draws(doubledRanks, chosen, 2), scale: 2 };
}

/** The same for `chosen` of `total` values that all differ. Recent answers are kept: a suite asks for few sizes, often. */
export function untiedDistribution(total: number, chosen: number): UDistribution {
  const key = `${total}/${chosen}`;
  const known = recent.get(key);
  if (known !== undefined) return known;
  const ranks = Array.from({ length: total }, (_, index) => index + 1);
  const made: UDistribution = { probabilities: draws(ranks, chosen, 1), scale: 1 };
  const [oldest] = recent.keys();
  if (recent.size >= KEPT && oldest !== undefined) recent.delete(oldest);
  recent.set(key, made);
  return made;
}

/** At most 20 kB each with the sizes for which the exact test is used. */
const KEPT = 64;
const recent = new Map<string, UDistribution>();

function draws(scaledRanks: readonly number[], chosen: number, scale: 1 | 2): Float64Array {
  const size = scale * chosen * (scaledRanks.length - chosen) + 1;
  // ways[count][s]: draws of `count` values whose U, were they all, is s / scale. Up to 1e29, which a double counts with
  // a relative error of 1e-16 a step; all terms are positive, so errors do not grow in the tails.
  const ways = Array.from({ length: chosen + 1 }, () => new Float64Array(size));
  const none = ways[0];
  if (none !== undefined) none[0] = 1;
  for (const [index, scaledRank] of scaledRanks.entries()) {
    for (let count = Math.min(chosen, index + 1); count > 0; count--) {
      const [from, to] = [ways[count - 1], ways[count]];
      if (from !== undefined && to !== undefined) addShifted(from, to, scaledRank - scale * count);
    }
  }
  const counts = ways[chosen] ?? new Float64Array(size);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
}

function addShifted(from: Float64Array, to: Float64Array, shift: number): void {
  const end = Math.min(from.length, from.length - shift);
  for (let index = Math.max(0, -shift); index < end; index++) {
    to[index + shift] = (to[index + shift] ?? 0) + (from[index] ?? 0);
  }
}
