import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../../benchmarks/compare/arms.ts';
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import { runsToCompare, tooFewToCompare, tooFewToProve } from '../../../../benchmarks/compare/runs-needed.ts';
import { compareSessions } from '../../../../benchmarks/compare/sessions.ts';
import { ONE_LOOK } from '../../../../benchmarks/statistics/comparison.ts';
import { choose, loadSuites } from '../../../../benchmarks/suites/load.ts';
import { makeSession, NATIVE, WARM } from '../session-fixtures.ts';

const one = (runs: number) => makeSession({ seed: runs, runs, noise: 0.002, arms: [WARM] });

describe('the runs that a later comparison needs', () => {
  it('are more the more rows are compared', () => {
    expect([1, 4, 5, 10, 30, 64].map((rows) => runsToCompare(rows))).toEqual([5, 6, 7, 7, 8, 8]);
  });

  it('are asked for of a benchmark with a single arm as well, and not of one that broke', () => {
    expect(tooFewToCompare(comparable(one(5)))).toHaveLength(6);
    expect(tooFewToCompare(comparable(one(7)))).toEqual([]);
    const rejected = [{ suite: 'exec', benchmark: 'sh-true', arm: WARM, reason: 'exit status 1' }];
    expect(tooFewToCompare(comparable({ ...one(5), rejected }))).not.toContain('exec/sh-true');
    expect(tooFewToCompare(comparable(makeSession({ runs: 0, arms: [NATIVE] })))).toHaveLength(6);
  });

  it('let two sessions of as many compare as ok', () => {
    const runs = runsToCompare(6);
    const [base, change] = [0, 100].map((seed) => comparable(makeSession({ seed, runs, noise: 0.002, arms: [WARM] })));
    if (base === undefined || change === undefined) throw new Error('There are two.');
    expect(compareSessions(base, change).outcome).toBe('ok');
  });

  it('are those of one round for what takes long', async () => {
    const quick = choose(await loadSuites(), { tier: 'quick', suites: ['boot', 'disk'], benchmarks: [] });
    for (const { benchmark } of quick) expect(benchmark.runs).toBeGreaterThanOrEqual(runsToCompare(30));
  });
});

describe('the runs that verdicts between arms need', () => {
  const verdictsOf = (runs: number) =>
    compareArms(comparable(makeSession({ runs, noise: 0.002 })), { rule: ONE_LOOK }).rows.map(({ verdict }) => verdict);

  it('are the fewest with which any is given', () => {
    const places = makeSession().measurements;
    // Six benchmarks, each with the cache and in qemu against box64 without it.
    const needed = 7;
    expect(tooFewToProve(places, needed)).toBeNull();
    expect(tooFewToProve(places, needed - 1)).toBe(
      '6 runs in each arm can prove no difference among 12 comparisons; --runs 7 can.',
    );
    expect(verdictsOf(needed).some(({ kind }) => kind === 'faster')).toBe(true);
    const fewer = verdictsOf(needed - 1).map((one) => one.kind === 'inconclusive' && one.because);
    expect(new Set(fewer)).toEqual(new Set(['too-few-runs']));
  });

  it('are not known where no arm is held against another', () => {
    expect(tooFewToProve(makeSession({ arms: [WARM, NATIVE] }).measurements, 1)).toBeNull();
    expect(tooFewToProve([], 1)).toBeNull();
  });
});
