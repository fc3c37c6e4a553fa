/** In which order samples are taken. */

/**
 * Interleaves modes in ABBA order: forwards in one round, backwards in the next, so that a machine which slowly gets
 * faster or slower does so for all of them alike. A mode with fewer runs takes part in the first rounds only.
 */
export function interleave<M extends string>(runs: readonly (readonly [mode: M, count: number])[]): M[] {
  const rounds = Math.max(0, ...runs.map(([, count]) => count));
  return Array.from({ length: rounds }, (_, round) => {
    const taking = runs.filter(([, count]) => round < count).map(([mode]) => mode);
    return round % 2 === 0 ? taking : taking.reverse();
  }).flat();
}

/**
 * The samples of one round (counted from 1) of a comparison: `runs` of each arm in ABBA order. Every second round starts
 * with the other arm, so that an odd number of runs favours neither.
 */
export function roundOrder<A extends string>(arms: readonly A[], runs: number, round: number): A[] {
  const order = round % 2 === 1 ? arms : arms.toReversed();
  return interleave(order.map((arm) => [arm, runs] as const));
}
