import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import { fingerprintDigest } from '../../../../benchmarks/compare/fingerprint.ts';
import { compareSessions, type SessionComparison } from '../../../../benchmarks/compare/sessions.ts';
import { appendAck, appendSession } from '../../../../benchmarks/history/append.ts';
import { historyReport } from '../../../../benchmarks/history/changes.ts';
import { MAX_LINE_BYTES } from '../../../../benchmarks/history/format.ts';
import {
  parseHistory,
  readHistory,
  sessionsOf,
  sessionsOfCommit,
  withoutMachine,
} from '../../../../benchmarks/history/read.ts';
import { renderHistory } from '../../../../benchmarks/history/text.ts';
import type { Session } from '../../../../benchmarks/session.ts';
import { packageFile } from '../../../../host/package-root.ts';
import { commitOf, makeSession, NATIVE, OFF, WARM } from '../session-fixtures.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  file = path.join(folder, 'history.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const small = (id: string, changes: Partial<Session> = {}) =>
  makeSession({ id, benchmarks: ['exec/sh-true'], arms: [OFF, WARM] }, changes);
const lines = async () => (await readFile(file, 'utf8')).split('\n').filter(Boolean);

describe('writing a history', () => {
  it('has a line for each benchmark and arm, and one for the machine, once', async () => {
    expect(await appendSession(file, small('one'))).toBe(3);
    expect(await appendSession(file, small('two'))).toBe(2);
    const kinds = (await lines()).map((line) => JSON.parse(line).line);
    expect(kinds).toEqual(['fingerprint', 'result', 'result', 'result', 'result']);
  });

  it('keeps the disk of an arm that had a machine of its own, and its series apart', async () => {
    const session = small('one');
    const disk = 'virtio, file, own machine';
    const measurements = session.measurements.map((one) => (one.arm === WARM ? { ...one, disk } : one));
    await appendSession(file, { ...session, measurements });
    await appendSession(file, small('two'));
    const history = await readHistory(file);
    expect(history.results.map((one) => one.disk).filter((one) => one !== undefined)).toEqual([disk]);
    expect(sessionsOf(history)[0]?.measurements.map((one) => one.disk)).toContain(disk);
    const series = historyReport(history).series.map(({ arm, points }) => [arm.dimensions.cache, points.length]);
    expect(series.sort()).toEqual([
      ['off', 2],
      ['warm', 1],
      ['warm', 1],
    ]);
  });

  it('leaves no other file beside it', async () => {
    await appendSession(file, small('one'));
    expect(await readdir(folder)).toEqual(['history.jsonl']);
  });

  it('writes a session once, however often it is given', async () => {
    await appendSession(file, small('one'));
    expect(await appendSession(file, small('one'))).toBe(0);
    expect(await lines()).toHaveLength(3);
  });

  it('tells a session that was cut off from a whole one, and writes what is missing of it', async () => {
    await appendSession(file, small('one'));
    const session = makeSession({ id: 'two' });
    await appendSession(file, session);
    const whole = await readHistory(file);
    const cut = (await lines()).slice(0, 3 + 4);
    await writeFile(file, `${cut.join('\n')}\n`);
    const history = await readHistory(file);
    expect(history.results.filter((line) => line.session === 'two').map((line) => line.reason)).toEqual(
      Array(4).fill('The history has 4 of its 24 results.'),
    );
    expect(sessionsOf(history).map(({ id, state }) => [id, state])).toEqual([
      ['one', 'complete'],
      ['two', 'partial'],
    ]);
    expect(historyReport(history).leftOut.partial).toBe(4);
    expect(await appendSession(file, session)).toBe(20);
    expect(await readHistory(file)).toEqual(whole);
    expect(await appendSession(file, session)).toBe(0);
  });

  it('keeps whole lines when several write at the same time', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(ids.map((id) => appendSession(file, small(id))));
    const { results, skippedCount, fingerprints } = await readHistory(file);
    expect([...new Set(results.map(({ session }) => session))].sort()).toEqual(ids);
    expect({ skippedCount, machines: fingerprints.size, lines: (await lines()).length }).toEqual({
      skippedCount: 0,
      machines: 1,
      lines: 13,
    });
  });

  it('goes on after a line that a crash has cut short', async () => {
    await appendSession(file, small('one'));
    const { size } = await stat(file);
    await truncate(file, size - 20);
    await appendSession(file, small('two'));
    const { results, skipped } = await readHistory(file);
    expect(results.map(({ session }) => session)).toEqual(['one', 'two', 'two']);
    expect(skipped).toEqual([{ line: 3, why: expect.stringContaining('cut short') }]);
  });

  it('only ever appends', async () => {
    await writeFile(file, 'somebody’s own line\n');
    await appendSession(file, small('one'));
    await appendAck(file, { date: '2026-11-25T00:00:00Z', session: 'one', reason: 'a new compiler' });
    expect(await readFile(file, 'utf8')).toMatch(/^somebody’s own line\n/);
  });

  it('is as it was when the disk is full in the middle of a write', async () => {
    await appendSession(file, small('one'));
    const before = await readFile(file, 'utf8');
    const script = path.join(folder, 'append.mjs');
    await build({
      ...{ bundle: true, platform: 'node', format: 'esm', outfile: script, logLevel: 'silent' },
      stdin: {
        contents: `import { appendSession } from './benchmarks/history/append.ts';
          const [file, session] = process.argv.slice(2);
          await appendSession(file, JSON.parse(session)).catch((error) => console.log(error.code));`,
        resolveDir: packageFile('.'),
      },
    });
    // The shell's limit on a file's size, in KiB, stands for a full disk: write(2) stops in the middle.
    const argv = [
      '-c',
      'ulimit -f 4; exec "$@"',
      'bash',
      process.execPath,
      script,
      file,
      JSON.stringify(makeSession()),
    ];
    expect((await promisify(execFile)('bash', argv)).stdout.trim()).toBe('EFBIG');
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it('keeps an arm in which every sample failed', async () => {
    const place = { suite: 'exec', benchmark: 'sh-true', arm: NATIVE };
    await appendSession(file, small('one', { rejected: [{ ...place, reason: 'exit status 1' }] }));
    const { results } = await readHistory(file);
    expect(results.find(({ arm }) => arm.native)).toMatchObject({ failed: 1, values: [], median: null });
  });
});

describe('reading a history', () => {
  it('that does not exist finds an empty one', async () => {
    expect(await readHistory(file)).toMatchObject({ results: [], skippedCount: 0 });
  });

  it('gives back sessions that compare as the ones that were written', async () => {
    const [base, change] = [
      makeSession({ id: 'base', seed: 1 }),
      makeSession({ id: 'change', seed: 2, commit: commitOf('b') }),
    ];
    await appendSession(file, base);
    await appendSession(file, change);
    const history = await readHistory(file);
    const [first, second] = sessionsOf(history);
    if (first === undefined || second === undefined) throw new Error('Two sessions were written.');
    const direct = compareSessions(comparable(base), comparable(change));
    const verdicts = ({ rows }: SessionComparison) =>
      rows.map((row) => `${row.benchmark} ${row.changeArm} ${row.metric} ${row.verdict.kind}`).sort();
    expect(verdicts(compareSessions(first, second))).toEqual(verdicts(direct));
    expect(sessionsOfCommit(history, 'b'.repeat(40)).map(({ id }) => id)).toEqual(['change']);
    expect(sessionsOfCommit(history, 'c'.repeat(40))).toEqual([]);
  });

  it('does not take a partial session, or one with changes, for that of its commit', async () => {
    await appendSession(file, small('partial', { commit: commitOf('b'), state: 'partial' }));
    await appendSession(file, small('dirty', { commit: commitOf('b', true) }));
    expect(sessionsOfCommit(await readHistory(file), 'b'.repeat(40))).toEqual([]);
  });

  it('means the same in any order of the lines, with any of them twice', async () => {
    await appendSession(file, small('one', { date: '2026-11-01T00:00:00Z' }));
    await appendSession(file, small('two', { date: '2026-11-02T00:00:00Z' }));
    const all = await lines();
    const whole = await parseHistory(all.join('\n'));
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(all, { minLength: all.length }),
        fc.subarray(all),
        async (shuffled, twice) => {
          expect(await parseHistory([...shuffled, ...twice].join('\n'))).toEqual(whole);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('survives any text, and counts what it does not understand', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string()), async (texts) => {
        const foreign = texts.map((text) => text.replaceAll('\n', ' ')).filter((text) => text.trim() !== '');
        expect((await parseHistory(foreign.join('\n'))).skippedCount).toBe(foreign.length);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['a later format', '{"format":3,"line":"result","new":true}', /format 3, of a later rosetta-vm/],
    ['a marker of a merge conflict', '<<<<<<< HEAD', /merge=union/],
    ['a foreign line', '{"benchmark":"x"}', /no line of a history/],
    [
      'a key that is not known',
      '{"format":1,"line":"ack","date":"2026-11-25T00:00:00Z","session":"s","reason":"r","x":1}',
      /no line/,
    ],
    [
      'an ack without a reason',
      '{"format":1,"line":"ack","date":"2026-11-25T00:00:00Z","session":"s","reason":" "}',
      /reason/,
    ],
    ['a huge line', `{"format":1,"x":"${'y'.repeat(MAX_LINE_BYTES)}"}`, /longer than/],
  ])('passes over %s and says why', async (_, line, why) => {
    await appendSession(file, small('one'));
    await appendFile(file, `${line}\r\n`);
    await appendSession(file, small('two'));
    const { results, skipped } = await readHistory(file);
    expect(results).toHaveLength(4);
    expect(skipped).toEqual([{ line: 4, why: expect.stringMatching(why) }]);
  });

  it('reads both formats: the project’s own lines are of the first', async () => {
    const committed = await readHistory(packageFile('benchmarks/results/history.jsonl'));
    expect(committed).toMatchObject({ skippedCount: 0 });
    expect(new Set(committed.results.map(({ format }) => format))).toContain(1);
    expect(sessionsOf(committed).every(({ state, purpose }) => state === 'complete' && purpose === 'run')).toBe(true);
    expect(withoutMachine(committed)).toEqual([]);
    const text = await readFile(packageFile('benchmarks/results/history.jsonl'), 'utf8');
    await writeFile(file, text);
    await appendSession(file, small('later', { date: '2099-01-01T00:00:00Z' }));
    const both = await readHistory(file);
    expect(sessionsOf(both).map(({ id }) => id)).toEqual([...sessionsOf(committed).map(({ id }) => id), 'later']);
    expect(both.skippedCount).toBe(0);
  });

  it('lets a later version add a key to a line, and a field to a fingerprint', async () => {
    const session = small('one');
    const fingerprint = { ...session.fingerprint, thermalState: 'nominal' };
    await appendSession(file, { ...session, fingerprint });
    const text = (await lines()).map((line) => JSON.stringify({ ...JSON.parse(line), later: 1 })).join('\n');
    const history = await parseHistory(text);
    expect(history).toMatchObject({ skippedCount: 0 });
    expect(sessionsOf(history)[0]?.fingerprint).toMatchObject({ thermalState: 'nominal' });
    // What is not known of a fingerprint changes none of the digests that there are.
    const digest = fingerprintDigest(session.fingerprint);
    expect(fingerprintDigest(Object.assign({ hostKernel: undefined }, session.fingerprint))).toBe(digest);
    expect(fingerprintDigest({ ...session.fingerprint, hostKernel: '6.1' })).not.toBe(digest);
  });

  it('tells of sessions whose machine is not known, with which nothing can be compared', async () => {
    await appendSession(file, small('one'));
    const rest = (await lines()).slice(1);
    const history = await parseHistory(rest.join('\n'));
    expect(sessionsOf(history)).toEqual([]);
    expect(withoutMachine(history)).toEqual(['one']);
    expect(renderHistory(historyReport(history))).toContain('Of 1 session the line of the machine is lost');
  });

  it('does not believe a fingerprint under another one’s digest', async () => {
    await appendSession(file, small('one'));
    const text = (await readFile(file, 'utf8')).replace('"cpu":"AMD EPYC"', '"cpu":"Apple M4"');
    expect((await parseHistory(text)).skipped[0]?.why).toMatch(/digest/);
  });
});
