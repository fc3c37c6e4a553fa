/** How far two equal arms of one benchmark differ on one machine. */
import { quantile } from './descriptive.ts';
import { hodgesLehmannRatio } from './hodges-lehmann.ts';

/** One round of a benchmark compared with itself: both lists are of the same program, in turn. */
export interface CalibrationRound {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** With fewer rounds the floor would be chance: one or two rounds may agree far better than the machine does. */
export const MINIMUM_CALIBRATION_ROUNDS = 3;

/** Of the rounds' differences; with few rounds nearly the greatest, and no slave of one bad round when there are many. */
const SHARE = 0.95;

/**
 * The noise floor, as a share (0.012 is 1.2 %): what 95 % of the comparisons of equal arms stay below. It holds for
 * comparisons with at least as many runs an arm as these rounds have. Null with fewer than three rounds that have values.
 * This definition is the project's own; comparing a program with itself to learn the noise is Firecracker's A/A run and
 * rustc-perf's historic range (sources in docs/STATISTICS.md).
 */
export function noiseFloor(rounds: readonly CalibrationRound[]): number | null {
  const measured = rounds.filter(({ first, second }) => first.length > 0 && second.length > 0);
  if (measured.length < MINIMUM_CALIBRATION_ROUNDS) return null;
  const differences = measured.map(({ first, second }) => {
    return Math.abs(Math.log(hodgesLehmannRatio(first, second, SHARE).ratio));
  });
  return Math.expm1(quantile(differences, SHARE));
}

/**
 * The floor of comparisons with `runs` an arm, from one of rounds that had `measured`. The standard error of a Hodges–Lehmann
 * estimate shrinks with 1/√runs (Hollander, Wolfe and Chicken, 2014, 4.2), so fewer runs have a higher floor; more runs keep
 * it, as what is left of it need not be chance between runs.
 */
export const floorFor = (floor: number, measured: number, runs: number): number =>
  runs >= measured ? floor : floor * Math.sqrt(measured / Math.max(1, runs));
