/** The standard normal distribution. */

/** From here on the continued fraction of erfc converges faster than the series of erf. */
const SERIES_UP_TO = 2.5;

/** Probability of a value up to `z`, with a relative error below 1e-13 in the lower tail. */
export function normalCdf(z: number): number {
  return z > 0 ? 1 - upperTail(z) : upperTail(-z);
}

/** The value below which a share `p` (between 0 and 1) of the distribution lies: `normalCdf` turned round. */
export function normalQuantile(p: number): number {
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  if (p >= 1) return Number.POSITIVE_INFINITY;
  if (p > 0.5) return -normalQuantile(1 - p);
  // Doubles reach down to 5e-324, which lies at z = -38.5.
  let [low, high] = [-39, 0];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
}

/** Probability of a value above `z`, for z ≥ 0. */
function upperTail(z: number): number {
  if (z === 0) return 0.5;
  const x = z / Math.SQRT2;
  return x < SERIES_UP_TO ? (1 - erf(x)) / 2 : erfc(x) / 2;
}

/** erf(x) = 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)): Abramowitz and Stegun 7.1.6 (DLMF 7.6.2). */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * Number.EPSILON; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/**
 * erfc(x) = e^(-x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))): Abramowitz and Stegun 7.1.14 (DLMF 7.9.1), summed from
 * the far end. 100 steps leave no error that a double shows from x = 2.5 on.
 */
function erfc(x: number): number {
  let rest = x;
  for (let n = 100; n > 0; n--) rest = x + n / 2 / rest;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / rest;
}
