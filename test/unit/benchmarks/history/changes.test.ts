/** What `bench history` finds in a history: levels, changes, and what is left out. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { appendAck, appendSession } from '../../../../benchmarks/history/append.ts';
import { commitRange, historyReport } from '../../../../benchmarks/history/changes.ts';
import { parseHistory, readHistory } from '../../../../benchmarks/history/read.ts';
import { renderHistory } from '../../../../benchmarks/history/text.ts';
import type { Choice, Session } from '../../../../benchmarks/session.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { commitOf, commitOfDay, makeHistory, WARM } from '../session-fixtures.ts';

let file: string;
beforeEach(async () => {
  file = path.join(await temporaryFolder(), 'history.jsonl');
});

describe('changes in a history', () => {
  const write = async (sessions: readonly Session[]) => {
    for (const session of sessions) await appendSession(file, session);
    return await readHistory(file);
  };
  const gcc = { suite: 'compile', benchmark: 'gcc-hello' };
  const onlyGcc = (sessions: readonly Session[]) =>
    sessions.map((one) => ({
      ...one,
      measurements: one.measurements.filter(
        ({ benchmark, arm }) => benchmark === 'gcc-hello' && arm.dimensions.cache === 'warm',
      ),
    }));
  const stepped = onlyGcc(makeHistory(20, (index) => (index >= 12 ? 1.12 : 1)));
  const now = Date.parse('2026-11-26T00:00:00Z');

  it('are found with the commits between which they came', async () => {
    const { series, outcome } = historyReport(await write(stepped), { now });
    expect(outcome).toBe('regression');
    const [change] = series[0]?.changes ?? [];
    expect(change).toMatchObject({ kind: 'slower', state: 'open', index: 12, ratio: expect.closeTo(1.12, 1) });
    expect(change?.lastBefore.commit).toEqual(commitOfDay(11));
    expect(change?.firstAfter.commit).toEqual(commitOfDay(12));
    expect(change && commitRange(change)).toBe([11, 12].map((day) => commitOfDay(day).id.slice(0, 10)).join('..'));
  });

  it('are quiet when they are acknowledged, for the benchmark or for all', async () => {
    await write(stepped);
    const session = stepped[13]?.id ?? '';
    await appendAck(file, { date: '2026-11-25T00:00:00Z', ...gcc, session, reason: 'gcc 15' });
    const report = historyReport(await readHistory(file), { now });
    expect(report.series[0]?.changes[0]).toMatchObject({ state: 'acknowledged', reason: 'gcc 15' });
    expect(report.outcome).toBe('ok');
    expect(renderHistory(report)).toContain('acknowledged: gcc 15');
  });

  it('are not quiet by an ack of another benchmark, arm or session', async () => {
    await write(stepped);
    const ack = { date: '2026-11-25T00:00:00Z', reason: 'something else' };
    await appendAck(file, { ...ack, session: stepped[12]?.id ?? '', suite: 'compile', benchmark: 'gcc-lz' });
    await appendAck(file, { ...ack, session: stepped[12]?.id ?? '', arm: 'native' });
    await appendAck(file, { ...ack, session: stepped[5]?.id ?? '' });
    expect(historyReport(await readHistory(file), { now }).outcome).toBe('regression');
  });

  it('are recovered when the benchmark is as good again', async () => {
    const sessions = onlyGcc(makeHistory(28, (index) => (index >= 8 && index < 22 ? 1.2 : 1)));
    const { series, outcome } = historyReport(await write(sessions), { now });
    expect(series[0]?.changes.map(({ state }) => state)).toEqual(['recovered', 'improvement']);
    expect(outcome).toBe('ok');
  });

  it('turn round where more is better', async () => {
    const sessions = stepped.map((one) => ({
      ...one,
      measurements: one.measurements.map((m) => ({ ...m, unit: 'bytes-per-second' as const, smallerIsBetter: false })),
    }));
    expect(historyReport(await write(sessions), { now }).series[0]?.changes[0]).toMatchObject({ kind: 'faster' });
  });

  it('are not looked for across machines, nor in what is partial, failed or of the future', async () => {
    const mixed = stepped.map((one, index): Session => {
      if (index >= 16) return { ...one, date: '2027-01-01T00:00:00Z' };
      if (index >= 14) return { ...one, state: 'partial' };
      if (index >= 12) return { ...one, rejected: [{ ...gcc, arm: WARM, reason: 'exit status 139' }] };
      return index % 2 === 0 ? one : { ...one, fingerprint: { ...one.fingerprint, cpus: 4 } };
    });
    const { series, leftOut } = historyReport(await write(mixed), { now });
    expect(leftOut).toEqual({ partial: 2, failed: 2, future: 4, dirty: 0, machineLost: 0 });
    expect(series.map(({ points, changes }) => [points.length, changes.length])).toEqual([
      [6, 0],
      [6, 0],
    ]);
  });

  it('are not denied by a history that is too short, or empty', async () => {
    expect(historyReport(await write(stepped.slice(0, 5)), { now }).outcome).toBe('inconclusive');
    expect(historyReport(await parseHistory(''), { now }).outcome).toBe('broken');
  });

  it('are looked for in the values, whatever a line says of their median', async () => {
    await write(stepped);
    const lied = (await readFile(file, 'utf8')).replaceAll(/"median":[0-9.]+/g, '"median":1');
    expect(historyReport(await parseHistory(lied), { now }).outcome).toBe('regression');
  });

  it('are not looked for in what nobody can check out again, nor in calibrations', async () => {
    const mixed = stepped.map((one, index): Session => {
      if (index < 4) return { ...one, commit: commitOf('d', true) };
      const choice: Choice = { purpose: 'calibration', suites: [], benchmarks: [], runs: 40 };
      return index < 6 ? { ...one, choice } : one;
    });
    const { series, leftOut } = historyReport(await write(mixed), { now });
    expect(leftOut).toMatchObject({ dirty: 4 });
    expect(series.map(({ points }) => points.length)).toEqual([14]);
  });

  it('that came with a new image are found when series may go across it', async () => {
    const image = (index: number) => (index >= 12 ? 'f'.repeat(16) : 'a'.repeat(16));
    const rebuilt = stepped.map((one, index) => ({ ...one, fingerprint: { ...one.fingerprint, image: image(index) } }));
    const history = await write(rebuilt);
    expect(historyReport(history, { now }).outcome).toBe('ok');
    const report = historyReport(history, { now, accept: ['image'] });
    expect(report.outcome).toBe('regression');
    expect(renderHistory(report)).toContain('Series go on where these changed: image.');
  });

  it('are found across sessions that differ in some pages of the host’s memory', async () => {
    const uneven = stepped.map((one, index) => {
      const hostMemoryBytes = one.fingerprint.hostMemoryBytes - 4096 * (index % 2);
      return { ...one, fingerprint: { ...one.fingerprint, hostMemoryBytes } };
    });
    expect(historyReport(await write(uneven), { now }).outcome).toBe('regression');
  });

  it('are found across sessions that had other translators beside the arm’s own', async () => {
    const mixed = stepped.map((one, index) => ({
      ...one,
      fingerprint: {
        ...one.fingerprint,
        translators: index % 2 === 0 ? one.fingerprint.translators : { box64: one.fingerprint.translators.box64 ?? '' },
      },
    }));
    expect(historyReport(await write(mixed), { now }).outcome).toBe('regression');
  });

  it('name no commits where there are none', () => {
    const point = { session: 's', date: '', version: '', median: 1, mad: 0, runs: 5 };
    const at = (commit: Session['commit'], session = 's') => ({ ...point, session, commit });
    expect(commitRange({ lastBefore: at(null, 'a'), firstAfter: at(commitOf('b'), 'b') })).toMatch(/sessions a and b/);
    expect(commitRange({ lastBefore: at(commitOf('b')), firstAfter: at(commitOf('b')) })).toMatch(/not in the commits/);
    for (const [from, to] of [
      [commitOf('a'), commitOf('b', true)] as const,
      [commitOf('a', true), commitOf('b')] as const,
    ]) {
      expect(commitRange({ lastBefore: at(from), firstAfter: at(to) })).toBe(
        'aaaaaaaaaa..bbbbbbbbbb, or changes that were not committed',
      );
    }
  });
});
