import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareArms, ruleOf } from '../../../../benchmarks/compare/arms.ts';
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import { OUTCOME_EXIT_STATUS } from '../../../../benchmarks/compare/exit-status.ts';
import { type CompareOptions, compareSessions } from '../../../../benchmarks/compare/sessions.ts';
import { explainVerdict } from '../../../../benchmarks/compare/words.ts';
import type { Session } from '../../../../benchmarks/session.ts';
import { fingerprint, makeSession, NATIVE, OFF, QEMU, WARM } from '../session-fixtures.ts';

const base = makeSession({ id: 'base', seed: 7 });
const compare = (change: Session, options?: CompareOptions, from = base) =>
  compareSessions(comparable(from), comparable(change), options);
const equal = makeSession({ id: 'equal', seed: 9 });
const gccSlower = makeSession({
  id: 'slower',
  seed: 8,
  factor: (name, arm) => (name === 'compile/gcc-hello' && arm === WARM ? 1.12 : 1),
});

describe('two sessions', () => {
  it('of equal programs have no regression, and every count is the same', () => {
    const { rows, outcomes } = compare(equal);
    expect(rows.filter(({ verdict }) => verdict.kind === 'slower')).toEqual([]);
    expect(outcomes.counts).toBe('ok');
    expect(rows.filter(({ metric }) => metric !== 'value').every(({ verdict }) => verdict.kind === 'same')).toBe(true);
  });

  it('show the one benchmark that became slower, with a ratio near the truth', () => {
    const { rows, outcome, outcomes } = compare(gccSlower);
    const slower = rows.filter(({ verdict }) => verdict.kind === 'slower');
    expect(slower).toMatchObject([
      { benchmark: 'gcc-hello', changeArm: 'cache=warm,translator=box64', metric: 'value' },
    ]);
    expect(slower[0]?.verdict).toMatchObject({ ratio: expect.closeTo(1.12, 1) });
    expect({ outcome, ...outcomes }).toMatchObject({ outcome: 'regression', time: 'regression', counts: 'ok' });
    expect(OUTCOME_EXIT_STATUS[outcome]).toBe(7);
  });

  it('pass a gate on counts whatever the times say, and the other way round', () => {
    expect(compare(gccSlower, { gate: 'counts' }).outcome).toBe('ok');
    const more = makeSession({ id: 'more', seed: 9, counts: () => ({ execs: 7 }) }, {});
    const from = makeSession({ id: 'from', seed: 7, counts: () => ({ execs: 6 }) });
    expect(compare(more, { gate: 'counts' }, from).outcome).toBe('regression');
    expect(compare(more, {}, from).outcomes.time).not.toBe('regression');
  });

  it('are not compared in an arm whose disk another machine had', () => {
    const on = (disk: string | undefined): Session => ({
      ...base,
      measurements: base.measurements.map((one) => (one.arm === WARM && disk !== undefined ? { ...one, disk } : one)),
    });
    const kinds = (change: Session, options?: CompareOptions) =>
      compare(change, options, on('nvme, file, own machine')).rows.map(({ verdict }) => verdict.kind);
    expect(kinds(on('nvme, file, own machine'))).not.toContain('not-comparable');
    expect(kinds(on(undefined))).toContain('not-comparable');
    expect(kinds(on('nvme, nbd, own machine'))).toContain('not-comparable');
    expect(kinds(on(undefined), { accept: ['disk'] })).not.toContain('not-comparable');
  });

  it('find a cache that is no longer read, though it is a smaller count', () => {
    const counts = (entries: number) => () => ({ execs: 6, cacheEntriesRead: entries, cacheEntriesWritten: 0 });
    const from = makeSession({ seed: 1, arms: [WARM], counts: counts(11) });
    const lost = makeSession({ seed: 2, arms: [WARM], counts: counts(0) });
    const { rows, outcomes } = compare(lost, {}, from);
    expect(outcomes.counts).toBe('regression');
    expect(rows.find(({ metric }) => metric === 'cacheEntriesRead')?.verdict.kind).toBe('slower');
  });

  it('do not hold entries read against each other when the programs are not the same', () => {
    const from = makeSession({ arms: [WARM], counts: () => ({ execs: 6, cacheEntriesRead: 11 }) });
    const other = makeSession({ arms: [WARM], counts: () => ({ execs: 5, cacheEntriesRead: 9 }) });
    expect(compare(other, {}, from).rows.some(({ metric }) => metric === 'cacheEntriesRead')).toBe(false);
  });

  it('leave out a count that varies in the base, and doubt one that varies only now', () => {
    const steady = makeSession({ arms: [WARM], counts: () => ({ execs: 6 }) });
    const [first, ...others] = steady.measurements;
    const varying = {
      ...steady,
      measurements: [
        {
          ...(first as (typeof others)[number]),
          counts: (first?.counts ?? []).map((_, i) => ({ execs: 6 + (i % 2) })),
        },
        ...others,
      ],
    };
    const key = ({ benchmark, metric }: { benchmark: string; metric: string }) => `${benchmark} ${metric}`;
    expect(compare(steady, {}, varying).rows.map(key)).not.toContain('sh-true execs');
    const doubt = compare(varying, {}, steady).rows.find((row) => key(row) === 'sh-true execs');
    expect(doubt?.verdict).toMatchObject({ kind: 'inconclusive', because: 'count-varies' });
  });

  it('of different machines are not comparable, and say in what they differ', () => {
    const other = makeSession(
      {},
      { fingerprint: { ...fingerprint, cpu: 'Apple M4', hostMemoryBytes: 2 ** 35, memoryMiB: 6027 } },
    );
    const { outcome, obstacles, rows } = compare(other);
    expect(outcome).toBe('not-comparable');
    expect(OUTCOME_EXIT_STATUS[outcome]).toBe(10);
    expect(obstacles).toEqual([
      'CPU: AMD EPYC, Apple M4',
      'memory of the host: 23.5 GiB, 32 GiB',
      'memory of the guest: 6026, 6027',
    ]);
    expect(rows.every(({ verdict }) => verdict.kind === 'not-comparable')).toBe(true);
  });

  it('are comparable when a kernel left some pages more or less of the host’s memory', () => {
    const hostMemoryBytes = fingerprint.hostMemoryBytes - 4096;
    expect(compare(makeSession({ seed: 9 }, { fingerprint: { ...fingerprint, hostMemoryBytes } })).obstacles).toEqual(
      [],
    );
  });

  it('are comparable when the difference is accepted', () => {
    const other = makeSession({ seed: 9 }, { fingerprint: { ...fingerprint, translators: { box64: '0.5.0' } } });
    expect(compare(other).outcome).toBe('not-comparable');
    const { outcome, accepted } = compare(other, { accept: ['translators'], gate: 'counts' });
    expect(outcome).toBe('ok');
    expect(accepted).toEqual([
      'translator box64: 0.4.3-3+dfsg-1, 0.5.0',
      'translator qemu: 1:10.0.13+ds-0+deb13u1, unknown',
    ]);
  });

  it('know a fingerprint by its values, not by the order of its keys', () => {
    const turned = Object.fromEntries(Object.entries(fingerprint).reverse()) as typeof fingerprint;
    const translators = Object.fromEntries(Object.entries(fingerprint.translators).reverse());
    expect(compare(makeSession({ seed: 9 }, { fingerprint: { ...turned, translators } })).obstacles).toEqual([]);
  });

  it('are never compared as a whole when one is partial, or when the tiers differ', () => {
    const partial = makeSession({}, { state: 'partial', reason: 'Stopped on request.' });
    expect(compare(partial)).toMatchObject({
      outcome: 'not-comparable',
      outcomes: { all: 'not-comparable', time: 'not-comparable', counts: 'not-comparable' },
      obstacles: [expect.stringContaining('Stopped on request.')],
    });
    expect(compare(makeSession({}, { tier: 'full' })).obstacles).toEqual(['tier: quick, full']);
  });

  it('are broken when a benchmark vanished, or when one of its samples failed', () => {
    const [, ...rest] = equal.measurements;
    expect(compare({ ...equal, measurements: rest })).toMatchObject({
      outcome: 'broken',
      outcomes: { counts: 'broken' },
    });
    const place = { suite: 'exec', benchmark: 'sh-true', arm: NATIVE };
    const failed = { ...equal, rejected: [{ ...place, reason: 'exit status 139' }] };
    const row = compare(failed).rows.find(({ verdict }) => verdict.kind === 'broken');
    expect(row).toMatchObject({ benchmark: 'sh-true', changeArm: 'native' });
    expect(OUTCOME_EXIT_STATUS[compare(failed).outcome]).toBe(9);
  });

  it('are broken when nothing was measured, or no count where counts decide', () => {
    const nothing = makeSession({ benchmarks: [] });
    expect(compare(nothing, {}, nothing).outcome).toBe('broken');
    const uncounted = makeSession({ counts: () => ({}) });
    expect(compare(uncounted, { gate: 'counts' }, uncounted).outcome).toBe('broken');
  });

  it('list what only the change has, without a verdict', () => {
    const before = makeSession({ seed: 7, benchmarks: ['exec/sh-true'] });
    const after = makeSession({ seed: 9, benchmarks: ['exec/sh-true', 'exec/perl-start'], arms: [OFF] });
    expect(compare(after, {}, before).added).toEqual(['exec/perl-start cache=off,translator=box64']);
  });

  it('do not compare work that made something else', () => {
    const other = {
      ...equal,
      measurements: equal.measurements.map((one) => (one.arm === OFF ? { ...one, product: 'b'.repeat(64) } : one)),
    };
    expect(compare(other).rows.find(({ changeArm }) => changeArm.startsWith('cache=off'))?.verdict).toMatchObject({
      kind: 'not-comparable',
      differences: ['what the samples made: aaaaaaaaaaaa, bbbbbbbbbbbb'],
    });
  });

  it('count no change that sessions of equal programs have as well', () => {
    const verdictOf = (options: CompareOptions) =>
      compare(gccSlower, options).rows.find(
        ({ benchmark, changeArm, metric }) =>
          benchmark === 'gcc-hello' && changeArm.startsWith('cache=warm') && metric === 'value',
      )?.verdict;
    // Levels of σ = 1 % and of σ = 4 %, as 21 sessions show them: 24 rows of time, z = 3.5, so 5 % and 22 % count.
    expect(verdictOf({ sessionNoise: () => ({ deviation: 0.01, freedom: 20 }) })?.kind).toBe('slower');
    expect(verdictOf({ sessionNoise: () => ({ deviation: 0.04, freedom: 20 }) })).toMatchObject({
      ...{ kind: 'inconclusive', because: 'machine-too-noisy', moreRuns: null },
    });
  });

  it('pass no gate with a change that hides in the noise of the machine', () => {
    const times = (factor: number) =>
      makeSession({ seed: 7, arms: [WARM], factor: (name) => (name === 'exec/sh-true' ? factor : 1) });
    const sessionNoise = () => ({ deviation: 0.17, freedom: 5 });
    const { outcome, rows } = compare(times(1.45), { gate: 'time', sessionNoise }, times(1));
    expect(outcome).toBe('inconclusive');
    const row = rows.find(({ benchmark, metric }) => benchmark === 'sh-true' && metric === 'value');
    expect(row && explainVerdict(row)).toMatch(
      /^Whether it changed cannot be told here: .* between \+4\d % and \+4\d %/,
    );
  });

  it('of which nobody knows how far they differ prove a great change only', () => {
    const change = makeSession({ seed: 8, factor: (name) => (name === 'compile/gcc-hello' ? 1.07 : 1), arms: [WARM] });
    const from = makeSession({ seed: 7, arms: [WARM] });
    const row = (options?: CompareOptions) =>
      compare(change, options, from).rows.find(
        ({ benchmark, metric }) => benchmark === 'gcc-hello' && metric === 'value',
      );
    expect(row()?.verdict).toMatchObject({ kind: 'inconclusive', because: 'sessions-unknown' });
    expect(row({ sessionNoise: () => ({ deviation: 0.005, freedom: 9 }) })?.verdict.kind).toBe('slower');
  });

  it('accuse no code when native work changed as much', () => {
    const verdicts = (native: number) => {
      const change = makeSession({
        ...{ seed: 8, arms: [WARM, NATIVE] },
        factor: (name, arm) => (name !== 'compile/gcc-hello' ? 1 : arm === NATIVE ? native : 1.15),
      });
      const { rows, outcome } = compare(change, {}, makeSession({ seed: 7, arms: [WARM, NATIVE] }));
      const gcc = rows.filter(({ benchmark, metric }) => benchmark === 'gcc-hello' && metric === 'value');
      return [...gcc.map(({ verdict }) => ('because' in verdict ? verdict.because : verdict.kind)), outcome];
    };
    expect(verdicts(1.15)).toEqual(['machine-moved', 'machine-moved', 'inconclusive']);
    expect(verdicts(1.05)).toEqual(['slower', 'sessions-unknown', 'regression']);
    expect(verdicts(0.87)).toEqual(['slower', 'faster', 'regression']);
  });

  it('are compared with the translator of each arm, whatever others ran beside', () => {
    const translators = { box64: fingerprint.translators.box64 ?? '' };
    const alone = makeSession({ seed: 9, arms: [OFF, WARM, NATIVE] }, { fingerprint: { ...fingerprint, translators } });
    const from = makeSession({ seed: 7, arms: [OFF, WARM, NATIVE] });
    expect(compare(alone, {}, from).obstacles).toEqual([]);
    expect(compare(alone, {}, from).rows.map(({ verdict }) => verdict.kind)).not.toContain('not-comparable');
    const newer = makeSession(
      { seed: 9 },
      { fingerprint: { ...fingerprint, translators: { ...fingerprint.translators, box64: '1' } } },
    );
    const apart = compare(newer).rows.filter(({ verdict }) => verdict.kind === 'not-comparable');
    expect([...new Set(apart.map(({ changeArm }) => changeArm))]).toEqual([
      'cache=off,translator=box64',
      'cache=warm,translator=box64',
    ]);
  });

  it('compare a field that the older one’s format did not know with nothing', () => {
    const newer = (hostKernel: string) => makeSession({ seed: 9 }, { fingerprint: { ...fingerprint, hostKernel } });
    expect(compare(newer('6.1.0')).obstacles).toEqual([]);
    expect(compare(newer('6.1.0'), {}, newer('6.12.0')).obstacles).toEqual(['kernel of the host: 6.12.0, 6.1.0']);
  });

  it('need a greater change where the machine is noisy', () => {
    expect(compare(gccSlower, { noiseFloor: () => 0.1 }).outcomes.time).not.toBe('regression');
  });

  it('have an exit status of 0 only when something was compared and is not worse', () => {
    fc.assert(
      fc.property(fc.subarray([...base.measurements.keys()]), fc.subarray([...base.measurements.keys()]), (a, b) => {
        const pick = (session: Session, indexes: readonly number[]) => ({
          ...session,
          measurements: indexes.flatMap((index) => session.measurements[index] ?? []),
        });
        const { outcome, rows } = compare(pick(equal, b), {}, pick(base, a));
        if (outcome === 'ok') expect(rows.length).toBeGreaterThan(0);
        expect(a.every((index) => b.includes(index)) || outcome === 'broken' || outcome === 'regression').toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the arms of one session', () => {
  const { rows, means } = compareArms(comparable(base));
  const pairs = [...new Set(rows.map(({ baseArm, changeArm }) => `${changeArm} < ${baseArm}`))];

  it('are each held against the one that differs in one thing', () => {
    expect(pairs).toEqual([
      'cache=warm,translator=box64 < cache=off,translator=box64',
      'cache=off,translator=qemu < cache=off,translator=box64',
    ]);
  });

  it('show what the cache gives, by benchmark and in the mean', () => {
    const gcc = rows.find(({ benchmark, changeArm }) => benchmark === 'gcc-hello' && changeArm.includes('warm'));
    expect(gcc?.verdict).toMatchObject({ kind: 'faster', ratio: expect.closeTo(3.97 / 11.1, 1) });
    expect(means[0]).toMatchObject({ benchmarks: 6 });
    expect(means[0]?.ratio).toBeLessThan(0.6);
  });

  it('are held to the floor of the noisier of the two', () => {
    const noisy = (arm: string) => (key: string) => (key.includes(arm) ? 0.3 : 0.01);
    for (const arm of ['cache=off', 'cache=warm']) {
      const floors = compareArms(comparable(base), { noiseFloor: noisy(arm) }).rows.map(({ noiseFloor }) => noiseFloor);
      expect(floors.slice(0, 1)).toEqual([0.3]);
    }
  });

  it('are looked at once when they were measured in one round, and else as often as there were rounds', () => {
    expect(ruleOf(base).rounds).toBe(1);
    const [first, ...others] = base.measurements;
    const again = { ...(first as (typeof others)[number]), rounds: [1, 1, 2] };
    expect(ruleOf({ measurements: [again, ...others] }).rounds).toBe(4);
  });

  it('have no base in a session with one arm only', () => {
    expect(compareArms(comparable(makeSession({ arms: [WARM] })))).toEqual({ rows: [], means: [] });
    expect(compareArms(comparable(makeSession({ arms: [NATIVE, QEMU] }))).rows).toEqual([]);
  });
});
