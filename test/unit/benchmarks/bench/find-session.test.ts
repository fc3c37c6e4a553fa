import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { findPair, sessionNames } from '../../../../benchmarks/bench/find-session.ts';
import { appendSession } from '../../../../benchmarks/history/append.ts';
import { sessionsFolder } from '../../../../benchmarks/runner/bench-folder.ts';
import type { Choice, Session } from '../../../../benchmarks/session.ts';
import { statePaths } from '../../../../host/paths.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { aSession } from '../runner/samples.ts';

describe('the words of compare', () => {
  test.each([
    [
      ['a.json', 'b.json'],
      ['a.json', 'b.json'],
    ],
    [
      ['main..HEAD', undefined],
      ['main', 'HEAD'],
    ],
    [
      ['v1.0..', undefined],
      ['v1.0', 'HEAD'],
    ],
  ] as const)('%j', ([base, change], names) => {
    expect(sessionNames(base, change)).toEqual(names);
  });

  test.each(['main', 'main...HEAD', '..HEAD'])('%j alone is refused', (base) => {
    expect(() => sessionNames(base, undefined)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('a session is found', () => {
  async function place() {
    const cwd = await temporaryFolder();
    const paths = statePaths({ ROSETTA_VM_HOME: path.join(cwd, 'home') });
    await mkdir(sessionsFolder(paths), { recursive: true });
    const history = path.join(cwd, 'history.jsonl');
    const keep = async (changes: Partial<Session>): Promise<void> => {
      const session = { ...aSession({ values: [1] }), ...changes };
      await writeFile(path.join(sessionsFolder(paths), `${session.id}.json`), JSON.stringify(session));
      await appendSession(history, session);
    };
    return { where: { cwd, paths, history }, keep };
  }

  const idsOf = async (...args: Parameters<typeof findPair>): Promise<string[]> => {
    const { base, change } = await findPair(...args);
    return [base.id, change.id];
  };

  test('by its file, and by its id', async () => {
    const { where, keep } = await place();
    await keep({ id: 'one' });
    await writeFile(path.join(where.cwd, 'a.json'), JSON.stringify({ ...aSession({ values: [1] }), id: 'two' }));
    expect(await idsOf('one', 'a.json', where)).toEqual(['one', 'two']);
    expect(await idsOf('one', 'one', where)).toEqual(['one', 'one']);
  });

  async function repository() {
    const found = await place();
    const git = (...args: string[]) =>
      execa('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], { cwd: found.where.cwd });
    await git('init', '--quiet');
    const commit = async (message: string) => {
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      return (await git('rev-parse', 'HEAD')).stdout;
    };
    return { ...found, commit, git };
  }

  test('by a commit: the newest whole one of a clean tree', async () => {
    const { where, keep, commit } = await repository();
    const id = await commit('one');
    await expect(findPair('HEAD', 'HEAD', where)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      fix: expect.stringMatching(/git checkout HEAD.*npm run build.*rosetta-vm down.*rosetta-vm up.*bench run/),
    });
    await keep({ id: 'other-base', commit: { id: 'a'.repeat(40), dirty: false } });
    await keep({ id: '1-old', date: '2026-11-25T12:00:00.000Z', commit: { id, dirty: false } });
    await keep({ id: '2-new', commit: { id, dirty: false } });
    await keep({ id: '3-dirty', commit: { id, dirty: true } });
    await keep({ id: '4-partial', commit: { id, dirty: false }, state: 'partial' });
    const choice: Choice = { purpose: 'calibration', suites: [], benchmarks: [], runs: 40 };
    await keep({ id: '5-calibration', commit: { id, dirty: false }, choice });
    expect(await idsOf('other-base', 'HEAD', where)).toEqual(['other-base', '2-new']);
  });

  test('and of two commits’ sessions those that have most in common, whatever was measured later', async () => {
    const { where, keep, commit } = await repository();
    const before = { id: await commit('one'), dirty: false };
    const after = { id: await commit('two'), dirty: false };
    const of = (suite: string) => aSession({ values: [1] }).measurements.map((one) => ({ ...one, suite }));
    const whole = [...of('exec'), ...of('compile'), ...of('disk')];
    await keep({ id: 'whole-1', date: '2026-11-01T00:00:00.000Z', commit: before, measurements: whole });
    await keep({ id: 'exec-1', date: '2026-11-02T00:00:00.000Z', commit: before, measurements: of('exec') });
    await keep({ id: 'whole-2', date: '2026-11-03T00:00:00.000Z', commit: after, measurements: whole });
    await keep({ id: 'disk-2', date: '2026-11-04T00:00:00.000Z', commit: after, measurements: of('disk') });
    expect(await idsOf('HEAD~1', 'HEAD', where)).toEqual(['whole-1', 'whole-2']);
    // One of another machine has nothing in common, however much it measured.
    const fingerprint = { ...aSession({ values: [1] }).fingerprint, cpus: 8 };
    await keep({ id: 'other-2', date: '2026-11-05T00:00:00.000Z', commit: after, measurements: whole, fingerprint });
    expect(await idsOf('HEAD~1', 'HEAD', where)).toEqual(['whole-1', 'whole-2']);
    expect(await idsOf('HEAD~1', 'HEAD', where, ['cpus'])).toEqual(['whole-1', 'other-2']);
  });

  test('by the ancestor that was measured, since the commit that keeps a session is a child of it', async () => {
    const { where, keep, commit, git } = await repository();
    const id = await commit('measured');
    await keep({ id: 'one', commit: { id, dirty: false } });
    await git('add', 'history.jsonl');
    await commit('its session');
    const change = await commit('of nothing');
    await keep({ id: 'two', commit: { id: change, dirty: false } });
    await git('add', 'history.jsonl');
    const tip = await commit('its session too');
    expect(await findPair('HEAD~2', 'HEAD', where)).toMatchObject({
      ...{ base: { id: 'one' }, change: { id: 'two' } },
      notes: [
        expect.stringMatching(/^HEAD~2 \(\w{10}\) was not measured; \w{10}, 1 commit before it, stands for it\.$/),
        `HEAD (${tip.slice(0, 10)}) was not measured; ${change.slice(0, 10)}, 1 commit before it, stands for it.`,
      ],
    });
    // What came since was not measured.
    await writeFile(path.join(where.cwd, 'program.c'), '');
    await git('add', 'program.c');
    await commit('a change');
    await expect(findPair('HEAD~3', 'HEAD', where)).rejects.toMatchObject({
      ...{
        code: 'E_NOT_FOUND',
        why: expect.stringContaining(`Its ancestor ${change.slice(0, 10)} was measured, but more`),
      },
    });
    expect(await idsOf('HEAD', 'two', where)).toEqual(['two', 'two']);
  });

  test('and if none can be compared, those of two commits that measured the same', async () => {
    const { where, keep, commit } = await repository();
    const before = { id: await commit('one'), dirty: false };
    const after = { id: await commit('two'), dirty: false };
    const fingerprint = { ...aSession({ values: [1] }).fingerprint, cpus: 8 };
    const of = (suite: string) => aSession({ values: [1] }).measurements.map((one) => ({ ...one, suite }));
    await keep({ id: 'exec-1', date: '2026-11-01T00:00:00.000Z', commit: before, measurements: of('exec') });
    await keep({
      id: 'exec-2',
      date: '2026-11-02T00:00:00.000Z',
      commit: after,
      measurements: of('exec'),
      fingerprint,
    });
    await keep({
      id: 'disk-2',
      date: '2026-11-03T00:00:00.000Z',
      commit: after,
      measurements: of('disk'),
      fingerprint,
    });
    expect(await idsOf('HEAD~1', 'HEAD', where)).toEqual(['exec-1', 'exec-2']);
  });

  test('or it is told that there is none, and that one cannot be used', async () => {
    const { where, keep, commit } = await repository();
    await expect(findPair('no-such-thing', 'HEAD', where)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      what: 'There is no session "no-such-thing".',
    });
    await expect(findPair('--help', 'HEAD', where)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const id = await commit('one');
    await keep({ id: 'one', commit: { id, dirty: false } });
    const lines = (await readFile(where.history, 'utf8')).split('\n');
    await writeFile(where.history, lines.filter((line) => !line.includes('"line":"fingerprint"')).join('\n'));
    await expect(findPair('HEAD', 'HEAD', where)).rejects.toMatchObject({
      why: expect.stringContaining('1 session in it cannot be used: the line of the machine is lost.'),
    });
    await writeFile(where.history, `${lines.join('\n').slice(0, -20)}\n{"cut\n`);
    await expect(findPair('HEAD', 'HEAD', where)).rejects.toMatchObject({
      why: expect.stringContaining('2 lines of it could not be read; `bench history` names them.'),
    });
    await keep({ id: 'dirty', commit: { id: await commit('two'), dirty: true } });
    await expect(findPair('dirty', 'HEAD', where)).rejects.toMatchObject({
      why: expect.stringContaining('1 session of it cannot be used: partial, of a changed tree, or to calibrate.'),
    });
  });
});
