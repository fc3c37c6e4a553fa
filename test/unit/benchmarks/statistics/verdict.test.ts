import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COUNT, type Comparison, DEFAULT_RULE, type Rule, TIME } from '../../../../benchmarks/statistics/comparison.ts';
import { suiteVerdict, verdict } from '../../../../benchmarks/statistics/verdict.ts';

const ONE_ROUND: Rule = { ...DEFAULT_RULE, rounds: 1 };

function compared(base: readonly number[], change: readonly number[], more: Partial<Comparison> = {}): Comparison {
  return {
    metric: TIME,
    base: { values: base, failed: 0 },
    change: { values: change, failed: 0 },
    noiseFloor: null,
    differences: [],
    ...more,
  };
}

/** `runs` values around `level`, spread evenly over ± `spread` of it, no two alike for different `offset`s. */
function around(level: number, runs: number, spread: number, offset = 0): number[] {
  return Array.from({ length: runs }, (_, index) => level * (1 + spread * ((2 * index + 1) / runs - 1 + offset)));
}

describe('the verdict on one benchmark', () => {
  it('is slower or faster when the change is sure and great enough', () => {
    const base = around(10, 10, 0.01);
    expect(verdict(compared(base, around(11, 10, 0.01)))).toMatchObject({ kind: 'slower', threshold: 0.03 });
    const faster = verdict(compared(base, around(9, 10, 0.01)));
    expect(faster).toMatchObject({ kind: 'faster', runs: { base: 10, change: 10 } });
    if (faster.kind !== 'faster') return;
    expect(faster.ratio).toBeCloseTo(0.9, 2);
    expect(faster.p).toBeCloseTo(1.08e-5, 7);
    expect(faster.adjustedP).toBeCloseTo(4 * (faster.p ?? 0), 12);
  });

  it('is same only when the whole interval lies within the threshold', () => {
    expect(verdict(compared(around(10, 10, 0.01), around(10, 10, 0.01, 0.001)))).toMatchObject({ kind: 'same' });
    expect(verdict(compared(around(10, 10, 0.2), around(10, 10, 0.2, 0.001)))).toMatchObject({
      kind: 'inconclusive',
      because: 'interval-too-wide',
    });
  });

  it('is same for a change that is sure but too small to count', () => {
    const small = verdict(compared(around(10, 12, 0.002), around(10.1, 12, 0.002)));
    expect(small).toMatchObject({ kind: 'same' });
    expect(small).toHaveProperty('adjustedP', expect.any(Number));
    if (small.kind === 'same') expect(small.adjustedP).toBeLessThan(0.001);
  });

  it('widens the threshold to twice the noise floor', () => {
    const [base, change] = [around(10, 10, 0.01), around(10.6, 10, 0.01)];
    expect(verdict(compared(base, change, { noiseFloor: 0.01 }))).toMatchObject({ kind: 'slower', threshold: 0.03 });
    expect(verdict(compared(base, change, { noiseFloor: 0.04 }))).toMatchObject({ kind: 'same', threshold: 0.08 });
  });

  it('calls the same change a regression whichever direction is better', () => {
    const throughput = { exact: false, better: 'higher' } as const;
    const less = verdict(compared(around(500, 10, 0.01), around(400, 10, 0.01), { metric: throughput }));
    expect(less).toMatchObject({ kind: 'slower' });
    if (less.kind === 'slower') expect(less.ratio).toBeCloseTo(1.25, 2);
  });

  it('says too few runs, and how many are missing, rather than no change', () => {
    // Nothing is said of four runs. Six are the fewest whose p is under 0.01 after four looks.
    expect(verdict(compared(around(10, 4, 0.01), around(20, 4, 0.01)))).toMatchObject({
      kind: 'inconclusive',
      because: 'too-few-runs',
      moreRuns: 2,
    });
    expect(verdict(compared(around(10, 5, 0.01), around(20, 5, 0.01)))).toMatchObject({
      kind: 'inconclusive',
      because: 'too-few-runs',
      moreRuns: 1,
    });
    expect(verdict(compared(around(10, 6, 0.01), around(20, 6, 0.01)))).toMatchObject({ kind: 'slower' });
    expect(verdict(compared(around(10, 5, 0.01), around(20, 5, 0.01)), ONE_ROUND)).toMatchObject({ kind: 'slower' });
    expect(verdict(compared([10], [10]))).toMatchObject({ kind: 'inconclusive', because: 'too-few-runs', moreRuns: 5 });
  });

  it('estimates the runs that are missing from what was seen', () => {
    const unsure = (runs: number) => verdict(compared(around(10, runs, 0.2), around(11, runs, 0.2)), ONE_ROUND);
    const found = unsure(10);
    expect(found).toMatchObject({ kind: 'inconclusive', because: 'not-significant' });
    const more = found.kind === 'inconclusive' ? (found.moreRuns ?? 0) : 0;
    expect(more).toBeGreaterThan(5);
    expect(unsure(10 + more + 5)).toMatchObject({ kind: 'slower' });
    expect(unsure(10 + Math.floor(more / 2))).toMatchObject({ kind: 'inconclusive' });

    const wide = (runs: number) => verdict(compared(around(10, runs, 0.05), around(10, runs, 0.05, 0.001)), ONE_ROUND);
    const needed = wide(10);
    const missing = needed.kind === 'inconclusive' ? (needed.moreRuns ?? 0) : 0;
    expect(missing).toBeGreaterThan(5);
    expect(wide(10 + 2 * missing)).toMatchObject({ kind: 'same' });
  });

  it('names no number when the change lies on the threshold', () => {
    const values = around(10, 10, 0.02);
    const onIt = values.map((value) => value * 1.0299999);
    expect(verdict(compared(values, onIt))).toMatchObject({
      kind: 'inconclusive',
      because: 'interval-too-wide',
      moreRuns: null,
    });
  });

  it('compares counts exactly', () => {
    const counts = (base: number[], change: number[]) => verdict(compared(base, change, { metric: COUNT }));
    expect(counts([120], [120])).toMatchObject({ kind: 'same', ratio: 1, p: null });
    expect(counts([120, 120], [121, 121])).toMatchObject({ kind: 'slower', threshold: 0 });
    expect(counts([120], [60])).toMatchObject({ kind: 'faster', ratio: 0.5, interval: { low: 0.5, high: 0.5 } });
    expect(counts([0], [0])).toMatchObject({ kind: 'same', ratio: 1 });
    expect(counts([0], [3])).toMatchObject({ kind: 'slower', ratio: null, interval: null });
    expect(counts([120, 121], [120])).toMatchObject({ kind: 'inconclusive', because: 'count-varies', moreRuns: null });
    const hits = { exact: true, better: 'higher' } as const;
    expect(verdict(compared([100], [50], { metric: hits }))).toMatchObject({ kind: 'slower', ratio: 2 });
  });

  it('calls an arm broken that failed, measured nothing, or measured what cannot be', () => {
    const good = around(10, 6, 0.01);
    expect(verdict(compared([], good))).toEqual({ kind: 'broken', arm: 'base', because: 'no-samples' });
    const failed = compared(good, good, { change: { values: good, failed: 1 } });
    expect(verdict(failed)).toEqual({ kind: 'broken', arm: 'change', because: 'failed-samples' });
    for (const impossible of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const broken = { kind: 'broken', arm: 'change', because: 'impossible-value' };
      expect(verdict(compared(good, [...good, impossible]))).toEqual(broken);
    }
  });

  it('compares nothing across different machines', () => {
    const good = around(10, 10, 0.01);
    const differences = ['kernel', 'translator'];
    expect(verdict(compared(good, good, { differences }))).toEqual({ kind: 'not-comparable', differences });
    expect(verdict(compared([], good, { differences }))).toMatchObject({ kind: 'broken' });
  });
});

describe('every verdict', () => {
  const value = fc.integer({ min: 1, max: 6400 }).map((count) => count / 64);
  const sample = fc.array(value, { minLength: 1, maxLength: 15 });
  const mirrored = { faster: 'slower', slower: 'faster' } as Record<string, string>;

  it('turns round when the arms change places, and stays in another unit and order', () => {
    fc.assert(
      fc.property(sample, sample, fc.constantFrom(TIME, COUNT), (base, change, metric) => {
        const there = verdict(compared(base, change, { metric }));
        const back = verdict(compared(change, base, { metric }));
        expect(back.kind).toBe(mirrored[there.kind] ?? there.kind);
        const other = [base, change].map((values) => values.map((one) => one * 1024).reverse());
        expect(verdict(compared(other[0] ?? [], other[1] ?? [], { metric })).kind).toBe(there.kind);
      }),
    );
  });

  it('keeps its word: sure and great when faster or slower, within the threshold when same', () => {
    fc.assert(
      fc.property(sample, sample, (base, change) => {
        const found = verdict(compared(base, change), ONE_ROUND);
        if (found.kind === 'same') {
          expect(found.interval?.low).toBeGreaterThanOrEqual(1 / 1.03);
          expect(found.interval?.high).toBeLessThanOrEqual(1.03);
        }
        if (found.kind === 'slower' || found.kind === 'faster') {
          expect(found.adjustedP).toBeLessThan(0.01);
          expect(Math.abs(Math.log(found.ratio ?? 1))).toBeGreaterThan(Math.log(1.03));
          expect(Math.min(base.length, change.length)).toBeGreaterThanOrEqual(5);
        }
        if (found.kind === 'inconclusive' && found.moreRuns !== null) expect(found.moreRuns).toBeGreaterThan(0);
        expect(JSON.parse(JSON.stringify(found))).toEqual(found);
      }),
    );
  });
});

describe('the verdict on a suite', () => {
  const base = around(10, 6, 0.01);
  const same = compared(around(10, 10, 0.01), around(10, 10, 0.01, 0.001));
  const slower = compared(base, around(12, 6, 0.01));
  const suite = (...entries: readonly (readonly [string, Comparison])[]) => suiteVerdict(new Map(entries));
  const outcome = (...comparisons: Comparison[]) =>
    suite(...comparisons.map((one, index) => [`${index}`, one] as const)).outcome;

  it('asks more of each p when there are more benchmarks, and says how many runs that takes', () => {
    expect(suite(['a', slower]).verdicts.get('a')).toMatchObject({ kind: 'slower' });
    const two = suite(['a', slower], ['b', same]).verdicts;
    expect(two.get('a')).toMatchObject({ kind: 'inconclusive', because: 'too-few-runs', moreRuns: 1 });
    expect(two.get('b')).toMatchObject({ kind: 'same' });
  });

  it('asks no more of them for what was not tested', () => {
    const count = compared([3], [3], { metric: COUNT });
    const broken = compared([], base);
    expect(suite(['a', slower], ['b', count], ['c', broken]).verdicts.get('a')).toMatchObject({ kind: 'slower' });
  });

  it('has the geometric mean of the tested ratios', () => {
    const half = compared(around(10, 8, 0.01), around(5, 8, 0.01));
    const double = compared(around(10, 8, 0.01), around(20, 8, 0.01));
    const count = compared([3], [9], { metric: COUNT });
    const { geometricMean } = suite(['a', half], ['b', double], ['c', count]);
    expect(geometricMean?.benchmarks).toBe(2);
    expect(geometricMean?.ratio).toBeCloseTo(1, 12);
    expect(suite(['c', count]).geometricMean).toBeNull();
  });

  it('reports the gravest of its verdicts, and never ok for nothing', () => {
    const broken = compared([], base);
    const foreign = compared(base, base, { differences: ['cpu'] });
    const open = compared(around(10, 10, 0.2), around(10, 10, 0.2, 0.001));
    const sure = compared(around(10, 12, 0.01), around(12, 12, 0.01));
    expect(outcome()).toBe('broken');
    expect(outcome(same)).toBe('ok');
    expect(outcome(same, compared(around(10, 12, 0.01), around(8, 12, 0.01)))).toBe('ok');
    expect(outcome(same, open)).toBe('inconclusive');
    expect(outcome(open, foreign)).toBe('not-comparable');
    expect(outcome(foreign, broken)).toBe('broken');
    expect(outcome(broken, foreign, open, sure)).toBe('regression');
  });
});
