/** Whether two samples have the same mean. */
import { mean, standardDeviation } from './descriptive.ts';
import { studentTwoSided } from './student-t.ts';

export interface TTest {
  /** Above 0 when the second sample has the greater mean; infinite when the samples differ and have no spread at all. */
  readonly t: number;
  readonly degreesOfFreedom: number;
  /** Two-sided. */
  readonly p: number;
}

/**
 * Student's test with one pooled variance (Biometrika 6, 1908). For short segments of one series, whose spread is the same by nature: with
 * three values in a sample Welch's degrees of freedom fall to 2 and hide a change that this test shows.
 * The samples need three values together; with fewer p is 1.
 */
export function studentTest(first: readonly number[], second: readonly number[]): TTest {
  const freedom = first.length + second.length - 2;
  if (first.length === 0 || second.length === 0 || freedom < 1) return NOTHING;
  const squares = [first, second].map((values) => (standardDeviation(values) ?? 0) ** 2 * (values.length - 1));
  const pooled = squares.reduce((sum, one) => sum + one, 0) / freedom;
  return test(mean(second) - mean(first), Math.sqrt(pooled * (1 / first.length + 1 / second.length)), freedom);
}

const NOTHING: TTest = { t: 0, degreesOfFreedom: 0, p: 1 };

function test(difference: number, error: number, degreesOfFreedom: number): TTest {
  if (difference === 0) return { ...NOTHING, degreesOfFreedom };
  if (error === 0) return { t: difference > 0 ? Infinity : -Infinity, degreesOfFreedom: 0, p: 0 };
  const t = difference / error;
  return { t, degreesOfFreedom, p: studentTwoSided(t, degreesOfFreedom) };
}
