/** Where a series changes, by the best fit of a step function. */
import { median } from './descriptive.ts';

/** Price of one more step in the criterion, times ln(n)/n: asv's four degrees of freedom a step (`step_detect.py`). */
const FREEDOM_PER_STEP = 4;

/**
 * Places (of the first value after each step) of the step function that fits `series` best: the least sum of absolute
 * deviations S from the medians of k parts, none shorter than `minimum`, with the k that makes 4·k·ln(n)/n + ln(σ₀ + S)
 * least. F. Friedrich and others, "Complexity Penalized M-Estimation" (2008), for the fit by dynamic programming, and asv's
 * `step_detect.py` for the criterion, which is Schwarz's for Laplace noise of unknown size (Yao, 1988). Unlike asv it is solved
 * exactly, for every k, and noise is taken to be free of correlation. σ₀, in the unit of the series, is how finely
 * values can be told apart: it keeps a perfect fit from being worth any number of steps.
 */
export function pottsSteps(series: readonly number[], minimum: number, resolution: number): number[] {
  const n = series.length;
  const costs = partCosts(series, minimum);
  const price = (FREEDOM_PER_STEP * Math.log(n)) / n;
  let best = { value: Number.POSITIVE_INFINITY, steps: [] as number[] };
  for (const [index, { cost, steps }] of fits(costs, n, minimum).entries()) {
    const value = price * (index + 1) + Math.log(resolution + cost);
    if (value < best.value) best = { value, steps };
  }
  return best.steps;
}

type PartCosts = (start: number, end: number) => number;

function partCosts(series: readonly number[], minimum: number): PartCosts {
  const n = series.length;
  const costs = new Float64Array((n + 1) * (n + 1)).fill(Number.POSITIVE_INFINITY);
  for (let start = 0; start < n; start++) {
    for (let end = start + minimum; end <= n; end++) {
      const part = series.slice(start, end);
      const middle = median(part);
      costs[start * (n + 1) + end] = part.reduce((sum, value) => sum + Math.abs(value - middle), 0);
    }
  }
  return (start, end) => costs[start * (n + 1) + end] ?? Number.POSITIVE_INFINITY;
}

interface Fit {
  readonly cost: number;
  readonly steps: number[];
}

/** The best fit of one part, of two, and so on. */
function fits(costs: PartCosts, n: number, minimum: number): Fit[] {
  const found: Fit[] = [];
  // best[end]: the least cost of the first `end` values in as many parts as have been laid so far.
  let best: Fit[] = Array.from({ length: n + 1 }, (_, end) => ({ cost: costs(0, end), steps: [] }));
  for (let parts = 1; parts * minimum <= n; parts++) {
    const whole = best[n];
    if (whole !== undefined) found.push(whole);
    const shorter = best;
    best = shorter.map((_, end) => oneMorePart(shorter, costs, end, minimum));
  }
  return found;
}

function oneMorePart(shorter: readonly Fit[], costs: PartCosts, end: number, minimum: number): Fit {
  let [least, place] = [Number.POSITIVE_INFINITY, 0];
  for (let start = minimum; start <= end - minimum; start++) {
    const cost = (shorter[start]?.cost ?? Number.POSITIVE_INFINITY) + costs(start, end);
    if (cost < least) [least, place] = [cost, start];
  }
  return { cost: least, steps: [...(shorter[place]?.steps ?? []), place] };
}
