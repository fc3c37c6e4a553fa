/** How far two sessions of equal programs differ: the speed of a machine is not the same from one hour to the next. */
import { mean } from './descriptive.ts';
import { normalQuantile } from './normal.ts';
import { studentQuantile } from './student-t.ts';

export interface SessionNoise {
  /** Standard deviation of the logarithm of a session's level: 0.02 is about 2 %. */
  readonly deviation: number;
  /** Degrees of freedom of that estimate. */
  readonly freedom: number;
}

/** Three sessions of one commit; two agree by chance far better than the machine does. */
export const MINIMUM_FREEDOM = 2;

/**
 * What sessions are taken to differ by as long as nobody knows: a machine that does nothing else hardly differs by more. The
 * number is the project's own choice; docs/STATISTICS.md says what it costs.
 */
export const ASSUMED_DEVIATION = 0.02;

/**
 * Pooled over groups of sessions of the same program, each with its own mean: s² = Σ Σ (ln xᵢⱼ − mean)² / Σ (nⱼ − 1), the
 * variance within groups of a one-way analysis (R. A. Fisher, "Statistical Methods for Research Workers", 1925). Null with
 * too few sessions.
 */
export function sessionNoise(groups: readonly (readonly number[])[]): SessionNoise | null {
  let [squares, freedom] = [0, 0];
  for (const logs of groups.map((levels) => levels.map(Math.log))) {
    if (logs.length < 2) continue;
    const middle = mean(logs);
    squares += logs.reduce((sum, value) => sum + (value - middle) ** 2, 0);
    freedom += logs.length - 1;
  }
  return freedom < MINIMUM_FREEDOM ? null : { deviation: Math.sqrt(squares / freedom), freedom };
}

/**
 * What two sessions of equal programs differ by at most, as a share, as far as their noise is known: exp(z·√2·s) − 1, with z
 * the normal quantile at alpha / tests, as each of so many rows may move by itself (Bonferroni).
 */
export const sessionThreshold = ({ deviation }: SessionNoise, alpha: number, tests: number): number =>
  Math.expm1(quantileOf(alpha, tests) * Math.SQRT2 * deviation);

/**
 * The least change between two new sessions that is proved. As long as nobody knows, it is that of {@link ASSUMED_DEVIATION}.
 * From few sessions s is known badly, so that the prediction interval for the difference of two values has Student's quantile
 * in place of the normal one (G. J. Hahn and W. Q. Meeker, "Statistical Intervals", 1991); but they ask for no more than is
 * asked without them. Either may be wrong, so each has half of alpha.
 */
export function provableSessionChange(noise: SessionNoise | null, alpha: number, tests: number): number {
  const assumed = quantileOf(alpha / 2, tests) * ASSUMED_DEVIATION;
  const known =
    noise === null ? Number.POSITIVE_INFINITY : studentQuantile(alpha / 2 / tests, noise.freedom) * noise.deviation;
  return Math.expm1(Math.SQRT2 * Math.min(known, assumed));
}

const quantileOf = (alpha: number, tests: number): number => -normalQuantile(alpha / (2 * tests));
