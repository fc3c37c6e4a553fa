import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interleave, roundOrder } from '../../../benchmarks/schedule.ts';

describe('the order of samples', () => {
  it('goes forwards, then backwards', () => {
    expect(
      interleave([
        ['a', 2],
        ['b', 2],
      ]),
    ).toEqual(['a', 'b', 'b', 'a']);
  });

  it('lets a mode with fewer runs take part in the first rounds only', () => {
    expect(
      interleave([
        ['a', 3],
        ['b', 1],
        ['c', 0],
      ]),
    ).toEqual(['a', 'b', 'a', 'a']);
  });

  it('takes every mode as often as was asked', () => {
    const counts = fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9));
    fc.assert(
      fc.property(counts, ([a, b, c]) => {
        const order = interleave([
          ['a', a],
          ['b', b],
          ['c', c],
        ]);
        const taken = (mode: string) => order.filter((one) => one === mode).length;
        expect([taken('a'), taken('b'), taken('c')]).toEqual([a, b, c]);
      }),
    );
  });

  it('gives modes with as many runs the same mean place after an even number of rounds', () => {
    const order = interleave([
      ['a', 4],
      ['b', 4],
      ['c', 4],
    ]);
    const places = (mode: string) => order.reduce((sum, one, place) => (one === mode ? sum + place : sum), 0);
    expect(places('a')).toBe(places('b'));
    expect(places('b')).toBe(places('c'));
  });
});

describe('the order of a round', () => {
  it('is ABBA, and starts with the other arm every second time', () => {
    expect(roundOrder(['a', 'b'], 3, 1)).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
    expect(roundOrder(['a', 'b'], 3, 2)).toEqual(['b', 'a', 'a', 'b', 'b', 'a']);
    expect(roundOrder(['a', 'b'], 3, 3)).toEqual(roundOrder(['a', 'b'], 3, 1));
  });

  it('favours no arm over two rounds, whatever the number of runs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), (runs) => {
        const order = [...roundOrder(['a', 'b'], runs, 1), ...roundOrder(['a', 'b'], runs, 2)];
        const places = (arm: string) =>
          order.reduce((sum, one, place) => (one === arm ? sum + (place % (2 * runs)) : sum), 0);
        expect(places('a')).toBe(places('b'));
      }),
    );
  });
});
