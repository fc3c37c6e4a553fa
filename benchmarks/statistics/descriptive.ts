/** Numbers that describe one list of values. Every list must have at least one element. */

/**
 * The value below which a share `q` (0 to 1) of the values lies, interpolated between the two nearest: definition 7 of
 * Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), the default of R's `quantile` and of numpy.
 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

/** Middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  return medianOfSorted([...values].sort((a, b) => a - b));
}

/** The same of values in ascending order. */
export function medianOfSorted(sorted: ArrayLike<number>): number {
  const half = sorted.length / 2;
  const low = sorted[Math.ceil(half) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(half)] ?? Number.NaN;
  return (low + high) / 2;
}

/**
 * Median absolute deviation from the median, in the unit of the values. Not scaled: R's `mad` multiplies it by 1.4826 to
 * estimate the standard deviation of a normal distribution.
 */
export function medianAbsoluteDeviation(values: readonly number[]): number {
  const middle = median(values);
  return median(values.map((value) => Math.abs(value - middle)));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of values above 0: the mean that turns 2 and 1/2 into 1. The mean to take of ratios. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(mean(values.map(Math.log)));
}

/** Of a sample (n - 1); null for a single value, as hyperfine has it. */
export function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** How many times longer `base` is than `other`; null when one of them is missing. */
export function ratio(base: number | null, other: number | null): number | null {
  return base === null || other === null ? null : base / other;
}
