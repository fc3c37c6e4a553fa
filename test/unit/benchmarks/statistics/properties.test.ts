/** What must hold whatever the values are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, medianAbsoluteDeviation, quantile } from '../../../../benchmarks/statistics/descriptive.ts';
import { hodgesLehmannRatio } from '../../../../benchmarks/statistics/hodges-lehmann.ts';
import { holm } from '../../../../benchmarks/statistics/holm.ts';
import { fewestRuns, mannWhitney, smallestP } from '../../../../benchmarks/statistics/mann-whitney.ts';
import { floorFor, noiseFloor } from '../../../../benchmarks/statistics/noise-floor.ts';

/** Multiples of 1/64, so that scaling by a power of 2 is exact and ties are common. */
const value = fc.integer({ min: 1, max: 640 }).map((count) => count / 64);
const sample = fc.array(value, { minLength: 1, maxLength: 12 });
const shuffled = (values: readonly number[]) => fc.shuffledSubarray([...values], { minLength: values.length });
const withOrder = sample.chain((values) => fc.tuple(fc.constant(values), shuffled(values)));

describe('Mann-Whitney', () => {
  it('answers alike when the samples change places', () => {
    fc.assert(
      fc.property(sample, sample, (first, second) => {
        const [there, back] = [mannWhitney(first, second), mannWhitney(second, first)];
        expect(back.p).toBeCloseTo(there.p, 12);
        expect(there.u + back.u).toBe(first.length * second.length);
      }),
    );
  });

  it('looks at the order of the values only', () => {
    fc.assert(
      fc.property(withOrder, sample, ([first, mixed], second) => {
        const { p } = mannWhitney(first, second);
        expect(mannWhitney(mixed, second).p).toBe(p);
        expect(mannWhitney(first.map(Math.log), second.map(Math.log)).p).toBe(p);
      }),
    );
  });

  it('never goes below the smallest p that the sizes allow, and reaches it', () => {
    fc.assert(
      fc.property(sample, sample, (first, second) => {
        expect(mannWhitney(first, second).p).toBeGreaterThanOrEqual(
          smallestP(first.length, second.length) * (1 - 1e-9),
        );
        const above = second.map((_, index) => 1000 + index);
        const apart = first.map((_, index) => index + 1);
        expect(mannWhitney(apart, above).p).toBeCloseTo(smallestP(first.length, second.length), 12);
      }),
    );
  });

  it('tells nothing from values that are all the same, few or many', () => {
    expect(mannWhitney([3, 3, 3], [3, 3]).p).toBe(1);
    const many = Array.from({ length: 60 }, () => 3);
    expect(mannWhitney(many, many)).toMatchObject({ p: 1, method: 'normal' });
  });

  it('passes smoothly from the exact distribution to the approximation', () => {
    const first = Array.from({ length: 50 }, (_, index) => index);
    const exact = mannWhitney(
      first,
      first.map((one) => one + 10.5),
    );
    const longer = Array.from({ length: 51 }, (_, index) => index);
    const approximate = mannWhitney(
      longer,
      longer.map((one) => one + 10.5),
    );
    expect([exact.method, approximate.method]).toEqual(['exact', 'normal']);
    expect(approximate.p / exact.p).toBeGreaterThan(0.7);
    expect(approximate.p / exact.p).toBeLessThan(1.3);
  });

  it('knows how many runs a p takes', () => {
    expect([3, 4, 5, 6].map((runs) => Number(smallestP(runs, runs).toFixed(4)))).toEqual([0.1, 0.0286, 0.0079, 0.0022]);
    expect([0.05, 0.01, 0.0025, 0.000125].map(fewestRuns)).toEqual([4, 5, 6, 9]);
    expect(smallestP(1, 1)).toBe(1);
  });
});

describe('Hodges-Lehmann', () => {
  const level = 0.95;

  it('turns round when the samples change places', () => {
    fc.assert(
      fc.property(sample, sample, (first, second) => {
        const [there, back] = [hodgesLehmannRatio(first, second, level), hodgesLehmannRatio(second, first, level)];
        expect(back.ratio).toBeCloseTo(1 / there.ratio, 9);
        expect(back.interval.low).toBeCloseTo(1 / there.interval.high, 9);
        expect(back.interval.confidence).toBe(there.interval.confidence);
      }),
    );
  });

  it('does not care for the unit, nor for the order of the values', () => {
    fc.assert(
      fc.property(withOrder, sample, ([first, mixed], second) => {
        const found = hodgesLehmannRatio(first, second, level);
        const other = hodgesLehmannRatio(
          mixed.map((one) => one * 1024),
          second.map((one) => one * 1024),
          level,
        );
        expect(other.ratio).toBeCloseTo(found.ratio, 9);
        expect(other.interval.high).toBeCloseTo(found.interval.high, 9);
      }),
    );
  });

  it('grows with the second sample, and holds the estimate in its interval', () => {
    fc.assert(
      fc.property(sample, sample, fc.double({ min: 1.01, max: 50, noNaN: true }), (first, second, factor) => {
        const found = hodgesLehmannRatio(first, second, level);
        const grown = hodgesLehmannRatio(
          first,
          second.map((one) => one * factor),
          level,
        );
        expect(grown.ratio / found.ratio / factor).toBeCloseTo(1, 9);
        expect(found.interval.low).toBeLessThanOrEqual(found.ratio);
        expect(found.interval.high).toBeGreaterThanOrEqual(found.ratio);
      }),
    );
  });

  it('claims no more confidence than the values give', () => {
    expect(hodgesLehmannRatio([1], [2], 0.99).interval).toEqual({ low: 2, high: 2, confidence: 0 });
    expect(hodgesLehmannRatio([1, 2, 3], [4, 5, 6], 0.99).interval.confidence).toBeCloseTo(0.9, 12);
    expect(hodgesLehmannRatio([1, 2, 3, 4, 5], [4, 5, 6, 7, 8], 0.99).interval.confidence).toBeGreaterThan(0.99);
  });
});

describe('Holm', () => {
  const p = fc.double({ min: 0, max: 1, noNaN: true });

  it('keeps the order, and lies between each p and Bonferroni’s', () => {
    fc.assert(
      fc.property(fc.array(p, { maxLength: 20 }), (values) => {
        const adjusted = holm(values);
        for (const [index, one] of values.entries()) {
          expect(adjusted[index]).toBeGreaterThanOrEqual(one);
          expect(adjusted[index]).toBeLessThanOrEqual(Math.min(1, one * values.length));
          for (const [other, another] of values.entries()) {
            if (one <= another) expect(adjusted[index]).toBeLessThanOrEqual(adjusted[other] ?? Number.NaN);
          }
        }
      }),
    );
  });

  it('leaves a single question as it is', () => {
    fc.assert(
      fc.property(p, (one) => {
        expect(holm([one])).toEqual([one]);
      }),
    );
  });
});

describe('descriptions', () => {
  it('do not depend on the order, and move with the unit', () => {
    fc.assert(
      fc.property(withOrder, fc.double({ min: 0, max: 1, noNaN: true }), ([values, mixed], q) => {
        expect(quantile(mixed, q)).toBe(quantile(values, q));
        expect(quantile(values, 0.5)).toBeCloseTo(median(values), 12);
        expect(medianAbsoluteDeviation(mixed.map((one) => 4 * one))).toBe(4 * medianAbsoluteDeviation(values));
      }),
    );
  });
});

describe('the noise floor', () => {
  const round = (factor: number) => ({ first: [1, 2, 4], second: [factor, 2 * factor, 4 * factor] });

  it('is what 95 % of the rounds stay below, whichever arm was slower', () => {
    expect(noiseFloor([round(1), round(1), round(1)])).toBe(0);
    expect(noiseFloor([round(1.02), round(1 / 1.02), round(1.02), round(1 / 1.02)])).toBeCloseTo(0.02, 12);
    // The 95 % quantile of four logarithms lies 0.85 of the way from the third to the fourth.
    expect(noiseFloor([round(1), round(1), round(1), round(1.1)])).toBeCloseTo(1.1 ** 0.85 - 1, 12);
  });

  it('is unknown from fewer than three rounds that have values', () => {
    expect(noiseFloor([])).toBeNull();
    expect(noiseFloor([round(1), round(1), { first: [], second: [1] }])).toBeNull();
  });

  it('does not depend on the unit, nor on which arm is called the first', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sample, sample), { minLength: 3, maxLength: 8 }), (pairs) => {
        const floor = noiseFloor(pairs.map(([first, second]) => ({ first, second })));
        const swapped = pairs.map(([first, second]) => ({
          first: second.map((one) => 8 * one),
          second: first.map((one) => 8 * one),
        }));
        expect(noiseFloor(swapped)).toBeCloseTo(floor ?? Number.NaN, 9);
      }),
    );
  });

  it('is higher for fewer runs than it was measured with, and no lower for more', () => {
    expect(floorFor(0.02, 20, 5)).toBeCloseTo(0.04, 12);
    expect(floorFor(0.02, 5, 20)).toBe(0.02);
    expect(floorFor(0.02, 5, 0)).toBeCloseTo(0.02 * Math.sqrt(5), 12);
  });
});
