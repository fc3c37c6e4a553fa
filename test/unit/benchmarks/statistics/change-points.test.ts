import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changePoints, DEFAULT_CHANGE_POINT_RULE } from '../../../../benchmarks/statistics/change-points.ts';
import { normal, uniform } from './noise.ts';

/** Medians of sessions: `count` of them at each level, with lognormal noise. */
function series(random: () => number, noise: number, ...levels: readonly (readonly [level: number, count: number])[]) {
  return levels.flatMap(([level, count]) =>
    Array.from({ length: count }, () => level * Math.exp(noise * normal(random))),
  );
}

const indexes = (values: readonly number[]) => changePoints(values).map(({ index }) => index);

describe('change points', () => {
  it('finds what Otava’s own test expects of its series', () => {
    const otava = [
      1.02, 0.95, 0.99, 1.0, 1.12, 1.0, 1.01, 0.98, 1.01, 0.96, 0.5, 0.51, 0.48, 0.48, 0.55, 0.5, 0.49, 0.51, 0.5, 0.49,
    ];
    const found = changePoints(otava, { ...DEFAULT_CHANGE_POINT_RULE, alpha: 0.0001, window: 10 });
    expect(found).toEqual([{ index: 10, before: 1, after: 0.5, ratio: 0.5, p: expect.any(Number) }]);
    expect(indexes(otava)).toEqual([10]);
  });

  it('finds several, with the level before and after each', () => {
    const values = series(uniform(1), 0.01, [10, 20], [12, 15], [9, 20]);
    const [up, down] = changePoints(values);
    expect([up?.index, down?.index]).toEqual([20, 35]);
    expect(up?.ratio).toBeCloseTo(1.2, 1);
    expect(down?.before).toBeCloseTo(12, 0);
    expect(down?.after).toBeCloseTo(9, 0);
  });

  it('finds each once in a history of many windows, wherever the windows end', () => {
    for (const place of [3, 24, 25, 26, 49, 50, 51, 74, 120, 177]) {
      expect(indexes(series(uniform(place), 0.01, [1, place], [1.1, 180 - place])), `at ${place}`).toEqual([place]);
    }
  });

  it('needs three sessions after a change, and some more in noise', () => {
    const random = uniform(2);
    const foundAfter = (noise: number, sessions: number) => indexes(series(random, noise, [1, 20], [1.1, sessions]));
    const share = (noise: number, sessions: number) =>
      Array.from({ length: 50 }, () => foundAfter(noise, sessions)).filter(([first]) => first === 20).length / 50;
    expect([foundAfter(0.01, 1), foundAfter(0.01, 2)]).toEqual([[], []]);
    expect(share(0.01, 3)).toBeGreaterThanOrEqual(0.95);
    expect(share(0.02, 5)).toBeGreaterThanOrEqual(0.85);
  });

  it('takes an outlier or two for none', () => {
    const quiet = series(uniform(3), 0.01, [1, 15], [3, 1], [1, 10], [0.4, 2], [1, 15]);
    expect(indexes(quiet)).toEqual([]);
  });

  it('seldom finds one where nothing changed', () => {
    const random = uniform(4);
    const alarms = Array.from({ length: 200 }, () => indexes(series(random, 0.05, [1, 20]))).filter(
      ({ length }) => length > 0,
    );
    expect(alarms.length).toBeLessThanOrEqual(4);
  });

  it('passes over a change that is sure but too small', () => {
    const small = series(uniform(5), 0.001, [1, 20], [1.02, 20]);
    expect(indexes(small)).toEqual([]);
    const [found] = changePoints(small, { ...DEFAULT_CHANGE_POINT_RULE, minimumChange: 0.01 });
    expect(found?.index).toBe(20);
  });

  it('sees steps of values without any noise', () => {
    expect(changePoints([5, 5, 5, 5, 6, 6, 6, 6])).toEqual([{ index: 4, before: 5, after: 6, ratio: 1.2, p: 0 }]);
    expect(indexes(Array.from({ length: 80 }, () => 7))).toEqual([]);
  });

  it('has nothing to say of a short history', () => {
    for (const values of [[], [1], [1, 2], [1, 1, 1, 2, 2]]) expect(changePoints(values)).toEqual([]);
  });

  it('does not depend on the unit, and keeps segments of three', () => {
    const history = fc.array(
      fc.integer({ min: 32, max: 128 }).map((count) => count / 64),
      { maxLength: 70 },
    );
    fc.assert(
      fc.property(history, (values) => {
        const found = indexes(values);
        expect(indexes(values.map((value) => value * 1024))).toEqual(found);
        for (const [place, index] of found.entries()) {
          expect(index - (found[place - 1] ?? 0)).toBeGreaterThanOrEqual(3);
          expect((found[place + 1] ?? values.length) - index).toBeGreaterThanOrEqual(3);
        }
      }),
      { numRuns: 50 },
    );
  });
});
