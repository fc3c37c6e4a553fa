import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BENCH_MARKERS, renderReadmeTable } from '../../../benchmarks/report/markdown.ts';
import { newestSession, parseSession, readSession } from '../../../benchmarks/session-file.ts';
import { packageFile } from '../../../host/package-root.ts';
import { makeSession } from './session-fixtures.ts';

describe('the file of a session', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is read as it was written', async () => {
    const file = path.join(folder, 'one.json');
    await writeFile(file, JSON.stringify(makeSession()));
    expect(await readSession(file)).toEqual(makeSession());
  });

  it('is refused when it is missing, no JSON, foreign, or has a key too many', async () => {
    await expect(readSession(path.join(folder, 'none.json'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const wrong = ['{', '[]', '{"schemaVersion":1}', JSON.stringify({ ...makeSession(), extra: 1 })];
    for (const text of wrong) {
      expect(() => parseSession(text, 'the text')).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
    }
  });

  it('of another version says which one it is', () => {
    const later = JSON.stringify({ ...makeSession(), schemaVersion: 2 });
    expect(() => parseSession(later, 'later.json')).toThrow(/version 2; this rosetta-vm reads version 1/);
  });

  it('is the newest by the date in its name', async () => {
    await expect(newestSession(folder)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await writeFile(path.join(folder, '20261101-a.json'), '');
    await writeFile(path.join(folder, '20261102-b.json'), '');
    await writeFile(path.join(folder, 'notes.txt'), '');
    expect(path.basename(await newestSession(folder))).toBe('20261102-b.json');
  });
});

describe('the README’s table of benchmarks', () => {
  it('is that of the newest session', async () => {
    const readme = await readFile(packageFile('README.md'), 'utf8');
    const begin = readme.indexOf(BENCH_MARKERS.begin);
    const file = await newestSession().catch(() => null);
    // Both or neither: a session without a table is as stale as a table without a session.
    expect(begin !== -1).toBe(file !== null);
    if (file === null) return;
    const table = readme.slice(begin + BENCH_MARKERS.begin.length, readme.indexOf(BENCH_MARKERS.end)).trim();
    expect(table).toBe(renderReadmeTable(await readSession(file)));
  });
});
