import { describe, expect, it } from 'vitest';
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import { fingerprintDigest } from '../../../../benchmarks/compare/fingerprint.ts';
import { linesOf } from '../../../../benchmarks/history/append.ts';
import { printLine } from '../../../../benchmarks/history/format.ts';
import { parseHistory, sessionsOf } from '../../../../benchmarks/history/read.ts';
import { sessionNoiseOf } from '../../../../benchmarks/history/session-noise.ts';
import type { Session } from '../../../../benchmarks/session.ts';
import { commitOf, fingerprint, makeSession, WARM } from '../session-fixtures.ts';

async function noiseOf(sessions: readonly Session[], runs = 12) {
  const lines = sessions.flatMap((one) => [
    printLine({
      format: 2,
      line: 'fingerprint',
      digest: fingerprintDigest(one.fingerprint),
      fingerprint: one.fingerprint,
    }),
    ...linesOf(one).map(printLine),
  ]);
  const past = sessionsOf(await parseHistory(lines.join('')));
  const [one] = comparable(at(1)).measurements;
  if (one === undefined) throw new Error('It has one.');
  return sessionNoiseOf(past, fingerprint)(one, runs);
}

let next = 0;
/** A session without noise, at a level of its own. */
const at = (level: number, changes: Partial<Session> = {}): Session =>
  makeSession({ id: `s${++next}`, benchmarks: ['exec/sh-true'], arms: [WARM], noise: 0, factor: () => level }, changes);

describe('how far sessions of one commit differ', () => {
  it('is the deviation of their levels, pooled over commits', async () => {
    const [one, two] = [commitOf('a'), commitOf('b')];
    const sessions = [
      ...[0.98, 1, 1.02].map((level) => at(level, { commit: one })),
      // Another commit is faster: that is no noise.
      ...[0.5, 0.51].map((level) => at(level, { commit: two })),
    ];
    const squares = 0.02 ** 2 + 0.02 ** 2 + Math.log(1.02) ** 2 / 2;
    const found = await noiseOf(sessions);
    expect(found?.freedom).toBe(3);
    expect(found?.deviation).toBeCloseTo(Math.sqrt(squares / 3), 3);
  });

  it('is learned from calibrations as well', async () => {
    const choice = { purpose: 'calibration' as const, suites: [], benchmarks: [], runs: 40 };
    expect(await noiseOf([0.98, 1, 1.02].map((level) => at(level, { choice })))).toMatchObject({ freedom: 2 });
  });

  it.each([
    ['too few', {}, 2],
    ['partial', { state: 'partial' }, 3],
    ['of a tree with changes', { commit: commitOf('a', true) }, 3],
    ['outside git', { commit: null }, 3],
    ['of another machine', { fingerprint: { ...fingerprint, cpus: 8 } }, 3],
    ['of another build of the translator', { fingerprint: { ...fingerprint, translators: { box64: '1' } } }, 3],
  ] as const)('is not known from sessions that are %s', async (_why, changes, number) => {
    expect(await noiseOf(Array.from({ length: number }, (_, index) => at(1 + index / 100, changes)))).toBeNull();
  });

  it('has the noise of medians of as many runs as are compared', async () => {
    const noisy = Array.from({ length: 40 }, (_, index) =>
      makeSession({ id: `n${index}`, seed: index, runs: 40, noise: 0.05, benchmarks: ['exec/sh-true'], arms: [WARM] }),
    );
    const [few, many] = [await noiseOf(noisy, 5), await noiseOf(noisy, 40)];
    expect((few?.deviation ?? 0) / (many?.deviation ?? 1)).toBeGreaterThan(2);
  });
});
