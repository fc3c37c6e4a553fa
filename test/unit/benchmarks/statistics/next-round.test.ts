import { describe, expect, it } from 'vitest';
import { COUNT, type Comparison, DEFAULT_RULE, TIME } from '../../../../benchmarks/statistics/comparison.ts';
import { nextRound } from '../../../../benchmarks/statistics/next-round.ts';

function compared(base: readonly number[], change: readonly number[], metric = TIME): Comparison {
  const arm = (values: readonly number[]) => ({ values, failed: 0 });
  return { metric, base: arm(base), change: arm(change), noiseFloor: null, differences: [] };
}

const spread = (level: number, by: number) => Array.from({ length: 10 }, (_, index) => level + by * (index - 4.5));
const settled = compared(spread(10, 0.001), spread(10.0005, 0.001));
const open = compared(spread(10, 0.5), spread(10.1, 0.5));

describe('another round', () => {
  it('is a first one of everything, whatever has been measured before it', () => {
    const suite = new Map([
      ['a', settled],
      ['b', compared([], [])],
    ]);
    expect(nextRound(suite, 0)).toEqual({ another: true, round: 1, benchmarks: ['a', 'b'] });
  });

  it('is of what is still open only', () => {
    const suite = new Map([
      ['a', settled],
      ['b', open],
    ]);
    expect(nextRound(suite, 1)).toEqual({ another: true, round: 2, benchmarks: ['b'] });
  });

  it('is not held when all is settled', () => {
    expect(nextRound(new Map([['a', settled]]), 1)).toEqual({ another: false, because: 'settled', open: [] });
    expect(nextRound(new Map(), 1)).toEqual({ another: false, because: 'settled', open: [] });
  });

  it('is not held after the last, which leaves open what is open', () => {
    const suite = new Map([['b', open]]);
    expect(nextRound(suite, 3)).toMatchObject({ another: true, round: 4 });
    expect(nextRound(suite, 4)).toEqual({ another: false, because: 'rounds-spent', open: ['b'] });
    expect(nextRound(suite, 1, { ...DEFAULT_RULE, rounds: 1 })).toMatchObject({ because: 'rounds-spent' });
  });

  it('is not held for what more runs cannot settle', () => {
    const suite = new Map([
      ['broken', compared([], [1])],
      ['varies', compared([1, 2], [1], COUNT)],
      ['foreign', { ...open, differences: ['kernel'] }],
    ]);
    expect(nextRound(suite, 1)).toMatchObject({ another: false, because: 'settled' });
  });
});
