import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { findSession, sessionNames } from '../../../../benchmarks/bench/find-session.ts';
import { appendSession } from '../../../../benchmarks/history/append.ts';
import { sessionsFolder } from '../../../../benchmarks/runner/bench-folder.ts';
import type { Session } from '../../../../benchmarks/session.ts';
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

  test('by its file, and by its id', async () => {
    const { where, keep } = await place();
    await keep({ id: 'one' });
    await writeFile(path.join(where.cwd, 'a.json'), JSON.stringify({ ...aSession({ values: [1] }), id: 'two' }));
    expect((await findSession('one', where)).id).toBe('one');
    expect((await findSession('a.json', where)).id).toBe('two');
  });

  test('by a commit: the newest whole one of a clean tree', async () => {
    const { where, keep } = await place();
    const git = (...args: string[]) =>
      execa('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], { cwd: where.cwd });
    await git('init', '--quiet');
    await git('commit', '--quiet', '--allow-empty', '--message', 'one');
    const id = (await git('rev-parse', 'HEAD')).stdout;
    await expect(findSession('HEAD', where)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await keep({ id: '1-old', date: '2026-11-25T12:00:00.000Z', commit: { id, dirty: false } });
    await keep({ id: '2-new', commit: { id, dirty: false } });
    await keep({ id: '3-dirty', commit: { id, dirty: true } });
    await keep({ id: '4-partial', commit: { id, dirty: false }, state: 'partial' });
    await keep({ id: '5-other', commit: { id: 'a'.repeat(40), dirty: false } });
    expect((await findSession('HEAD', where)).id).toBe('2-new');
  });

  test('or it is told that there is none', async () => {
    const { where } = await place();
    await expect(findSession('no-such-thing', where)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      what: 'There is no session "no-such-thing".',
    });
    await expect(findSession('--help', where)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
