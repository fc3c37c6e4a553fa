import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mean, median, ratio, standardDeviation } from '../../../../benchmarks/statistics/descriptive.ts';

const times = fc.array(fc.double({ min: 0.001, max: 1000, noNaN: true }), { minLength: 1, maxLength: 50 });

describe('statistics', () => {
  it('takes the middle of an odd number of values and the mean of the two middle ones of an even number', () => {
    expect(median([3])).toBe(3);
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it('has as many values below the median as above, in whatever order they come', () => {
    fc.assert(
      fc.property(times, (values) => {
        const middle = median(values);
        expect(values.filter((value) => value < middle).length).toBeLessThanOrEqual(values.length / 2);
        expect(values.filter((value) => value > middle).length).toBeLessThanOrEqual(values.length / 2);
        expect(median([...values].reverse())).toBe(middle);
      }),
    );
  });

  it('does not change the values that it is given', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('gives the deviation of a sample, and none for a single value', () => {
    expect(mean([2, 4, 4, 4, 5, 5, 7, 9])).toBe(5);
    expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.138, 3);
    expect(standardDeviation([5])).toBeNull();
  });

  it('knows no ratio when one side was not measured', () => {
    expect(ratio(6, 2)).toBe(3);
    expect(ratio(null, 2)).toBeNull();
    expect(ratio(6, null)).toBeNull();
  });
});
