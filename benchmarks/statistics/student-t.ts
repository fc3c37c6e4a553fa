/** The distribution of Student's t, by way of the incomplete beta function. */

/**
 * Probability of a t at least as far from 0 as this one, on both sides, with `freedom` degrees of freedom (any number
 * above 0): I_x(ν/2, 1/2) with x = ν/(ν + t²), Abramowitz and Stegun 26.7.1 and 26.5.27.
 */
export function studentTwoSided(t: number, freedom: number): number {
  if (!Number.isFinite(t)) return 0;
  const square = t * t;
  return incompleteBeta(freedom / (freedom + square), freedom / 2, 0.5, square / (freedom + square));
}

/** The t that is exceeded on both sides together with probability `p` (above 0): {@link studentTwoSided} turned round. */
export function studentQuantile(p: number, freedom: number): number {
  if (p >= 1) return 0;
  let [low, high] = [0, 1];
  while (studentTwoSided(high, freedom) > p) [low, high] = [high, 2 * high];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (studentTwoSided(middle, freedom) > p) low = middle;
    else high = middle;
  }
}

/**
 * The regularised incomplete beta function I_x(a, b): the continued fraction of DLMF 8.17.22. Who knows 1 - x better than a
 * subtraction gives it passes it as `rest`.
 */
export function incompleteBeta(x: number, a: number, b: number, rest: number = 1 - x): number {
  if (x <= 0) return 0;
  if (rest <= 0) return 1;
  // The fraction converges fast below this point only (DLMF 8.17.22); above it, I_x(a, b) = 1 - I_(1-x)(b, a).
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(rest, b, a, x);
  const front = Math.exp(a * Math.log(x) + b * Math.log(rest) - logBeta(a, b)) / a;
  return front / continuedFraction(x, a, b);
}

/** Keeps Lentz's quotients away from a division by 0; far below anything that adds up. */
const TINY = 1e-300;
/** Lentz's steps grow with √max(a, b); this serves a million degrees of freedom. */
const MOST_STEPS = 10_000;

/** 1 + d₁/(1 + d₂/(1 + …)) by the modified Lentz method (Thompson and Barnett, 1986). */
function continuedFraction(x: number, a: number, b: number): number {
  let value = 1;
  let c = 1;
  let d = 0;
  for (let step = 1; step <= MOST_STEPS; step++) {
    const m = Math.floor(step / 2);
    const numerator =
      step % 2 === 0
        ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
        : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + numerator * d);
    c = away(1 + numerator / c);
    value *= c * d;
    if (Math.abs(c * d - 1) < Number.EPSILON) break;
  }
  return value;
}

const away = (value: number): number => (Math.abs(value) < TINY ? TINY : value);

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);

/** Coefficients of Stirling's series, B₂ₖ/(2k(2k-1)): DLMF 5.11.1. */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360, 1 / 156];
/** From here on the seven terms above are exact to a double. */
const STIRLING_FROM = 10;

/** ln Γ(x) for x > 0: Stirling's series, after Γ(x+1) = xΓ(x) has carried x to where it holds. */
export function logGamma(x: number): number {
  let product = 1;
  let z = x;
  for (; z < STIRLING_FROM; z++) product *= z;
  const series = STIRLING.reduceRight((sum, coefficient) => sum / (z * z) + coefficient, 0) / z;
  return (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2 + series - Math.log(product);
}
