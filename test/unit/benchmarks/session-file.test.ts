import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { updateReadme } from '../../../benchmarks/bench/make-report.ts';
import { BENCH_MARKERS, renderReadmeTable } from '../../../benchmarks/report/markdown.ts';
import { newestSession, parseSession, readSession, wholeSessions } from '../../../benchmarks/session-file.ts';
import { packageFile } from '../../../host/package-root.ts';
import { makeSession, OFF, WARM } from './session-fixtures.ts';

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
    const uncounted = makeSession().measurements.map((one) => ({ ...one, counts: [] }));
    const wrong = ['{', '[]', '{"schemaVersion":1}'].concat(
      JSON.stringify({ ...makeSession(), extra: 1 }),
      JSON.stringify({ ...makeSession(), measurements: uncounted }),
    );
    for (const text of wrong) {
      expect(() => parseSession(text, 'the text')).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
    }
  });

  it('of another version says which one it is', () => {
    const later = JSON.stringify({ ...makeSession(), schemaVersion: 3 });
    expect(() => parseSession(later, 'later.json')).toThrow(/version 3; this rosetta-vm reads versions 1 and 2/);
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
  it('is that of the project’s sessions', async () => {
    const readme = await readFile(packageFile('README.md'), 'utf8');
    const sessions = await wholeSessions();
    // Both or neither: a session without a table is as stale as a table without a session.
    expect(readme.includes(BENCH_MARKERS.begin)).toBe(sessions.length > 0);
    const stale = 'stale: `node dist/bench.js report --format readme --out README.md`';
    if (sessions.length > 0) expect(await updateReadme(readme, sessions), stale).toBe(readme);
  });

  it('has every suite as the newest session has it that measured it, and says how that was', () => {
    const whole = makeSession({ id: 'whole', date: '2026-11-01T00:00:00Z' });
    const exec = makeSession(
      { id: 'exec', date: '2026-11-02T00:00:00Z', benchmarks: ['exec/sh-true'], arms: [OFF, WARM], runs: 6 },
      { choice: { purpose: 'run', suites: ['exec'], benchmarks: [], runs: 6 } },
    );
    const table = renderReadmeTable([whole, exec]);
    const rows = table.split('\n').filter((line) => /^\| (exec|compile)\//.test(line));
    expect(rows.filter((row) => row.startsWith('| exec/'))).toHaveLength(2);
    expect(rows.filter((row) => row.startsWith('| compile/'))).toHaveLength(12);
    expect(table).toContain('exec: measured on 2026-11-02 with `bench run --tier quick --suite exec --runs 6`');
    expect(table).toContain('compile: measured on 2026-11-01 in the tier quick, 12 runs an arm, commit');
  });

  it('has its place between two lines, and nowhere else', async () => {
    await expect(updateReadme('# A README', [makeSession()])).rejects.toMatchObject({ code: 'E_INVALID' });
    const text = `before ${BENCH_MARKERS.begin}\nwhat was there\n${BENCH_MARKERS.end} after`;
    const updated = await updateReadme(text, [makeSession()]);
    expect(updated).toMatch(/^before <!--[\s\S]*--> after$/);
    expect(updated).not.toContain('what was there');
  });
});
