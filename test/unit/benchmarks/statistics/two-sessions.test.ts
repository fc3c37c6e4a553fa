/**
 * `bench compare` on made-up machines whose speed is another one in each session: two sessions are two blocks, which no test
 * within them sees. Levels are of σ = 2 %, the drift that the gate must bear; noise within a session is 1 %.
 */
import { describe, expect, it } from 'vitest';
import { ONE_LOOK, TIME } from '../../../../benchmarks/statistics/comparison.ts';
import { verdict } from '../../../../benchmarks/statistics/verdict.ts';
import { uniform } from './noise.ts';
import { hasAlarm, type Machine, session, share, twoSessions } from './two-sessions.ts';

const MACHINE: Machine = { noise: 0.01, levels: 0.02, move: 'common', benchmarks: 1, native: false, runs: 10 };
const SUITE: Machine = { ...MACHINE, benchmarks: 9, native: true };

const alarms = (comparisons: number, seed: number, machine: Machine, seen: number): number => {
  const random = uniform(seed);
  return share(comparisons, () => twoSessions(random, machine, { seen }), hasAlarm);
};

describe('two sessions of equal programs', () => {
  it('raise an alarm in one of five when nobody thinks of the sessions: the simulation sees the fault', () => {
    const random = uniform(1);
    let found = 0;
    for (let index = 0; index < 400; index++) {
      const [base, change] = [session(random, MACHINE), session(random, MACHINE)].map(({ measurements }) => ({
        values: measurements[0]?.values ?? [],
        failed: 0,
      }));
      if (base === undefined || change === undefined) throw new Error('There are two.');
      const comparison = { metric: TIME, base, change, noiseFloor: null, differences: [] };
      if (['slower', 'faster'].includes(verdict(comparison, ONE_LOOK).kind)) found++;
    }
    expect(found / 400).toBeGreaterThan(0.14);
  });

  it.each([
    ['nobody knows', 0, 400],
    ['five sessions tell', 5, 300],
    ['thirty sessions tell', 30, 100],
  ])('raise one in at most a hundred suites of nine when %s how far they differ', (_what, seen, comparisons) => {
    expect(alarms(comparisons, 2, SUITE, seen)).toBeLessThanOrEqual(0.01);
  });

  it('raise few where each benchmark moves by itself', () => {
    expect(alarms(200, 3, { ...SUITE, move: 'own', native: false }, 10)).toBeLessThanOrEqual(0.015);
  });

  it('of a machine far worse than that raise few where native work is measured beside, and many where it is not', () => {
    const wild = { ...SUITE, levels: 0.1 };
    expect(alarms(200, 4, wild, 0)).toBeLessThanOrEqual(0.07);
    expect(alarms(100, 4, { ...wild, native: false }, 0)).toBeGreaterThan(0.3);
  });
});

describe('a change between two sessions', () => {
  const found = (truth: number, machine: Machine, seen: number): number => {
    const random = uniform(5);
    return share(
      100,
      () => twoSessions(random, machine, { seen, truth }),
      ({ rows }) => rows[0]?.verdict.kind === 'slower',
    );
  };

  it('of 20 % is found, whatever is known of the sessions', () => {
    for (const seen of [0, 5, 20]) expect(found(1.2, MACHINE, seen)).toBeGreaterThanOrEqual(0.85);
  });

  it('of 5 % only where sessions hardly differ, and many have shown it', () => {
    expect(found(1.05, { ...MACHINE, levels: 0, noise: 0.02 }, 30)).toBeGreaterThanOrEqual(0.75);
    expect(found(1.05, MACHINE, 30)).toBeLessThan(0.3);
  });
});
