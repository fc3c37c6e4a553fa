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
 * A change between two sessions that is proved where nobody knows how far sessions differ: with levels of σ = 2 % equal
 * programs differ by more in one of 1300 comparisons, 2·(1 − Φ(ln 1.1/(0.02·√2))). The number is the project's own choice.
 */
export const UNKNOWN_SESSIONS_CHANGE = 0.1;

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
 * The least change between two new sessions that is not the sessions' own, as a share: a prediction interval for the
 * difference of two values (G. J. Hahn and W. Q. Meeker, "Statistical Intervals", 1991), exp(q·√2·s) − 1. q is the greater of
 * Student's quantile at alpha, as s is known from few sessions, and the normal one at alpha / tests, as each of so many rows
 * may move by itself. Rows that move together, as they do with the machine, ask once.
 */
export function leastSessionChange({ deviation, freedom }: SessionNoise, alpha: number, tests: number): number {
  const quantile = Math.max(studentQuantile(alpha, freedom), -normalQuantile(alpha / (2 * tests)));
  return Math.expm1(quantile * Math.SQRT2 * deviation);
}
