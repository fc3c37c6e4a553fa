import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newestRecord, readRecord } from '../../../benchmarks/record.ts';
import { MARKERS, renderMarkdown } from '../../../benchmarks/report.ts';
import { packageFile } from '../../../host/package-root.ts';
import { record } from './samples.ts';

describe('a benchmark record', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const write = async (name: string, content: string): Promise<string> => {
    await writeFile(path.join(folder, name), content);
    return path.join(folder, name);
  };

  it('is read as it was written', async () => {
    expect(await readRecord(await write('one.json', JSON.stringify(record())))).toEqual(record());
  });

  it('is read when it comes from a version that built nothing', async () => {
    const { build: _, ...older } = record();
    expect(await readRecord(await write('older.json', JSON.stringify(older)))).toEqual(older);
  });

  it('is refused when it is missing, no JSON, or of another shape', async () => {
    await expect(readRecord(path.join(folder, 'none.json'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const wrong = await write('wrong.json', '{');
    await expect(readRecord(wrong)).rejects.toMatchObject({ code: 'E_INVALID' });
    const other = await write('other.json', JSON.stringify({ ...record(), schemaVersion: 2 }));
    await expect(readRecord(other)).rejects.toMatchObject({ code: 'E_INVALID' });
    const steps = [{ step: 'link', mode: 'warm', times: [1] }];
    const unknown = await write('unknown.json', JSON.stringify({ ...record(), build: steps }));
    await expect(readRecord(unknown)).rejects.toMatchObject({ code: 'E_INVALID' });
  });

  it('is the newest by the date in its name', async () => {
    await expect(newestRecord(folder)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await write('2026-09-30-arm64.json', '');
    await write('2026-11-02-x86_64.json', '');
    await write('notes.txt', '');
    expect(path.basename(await newestRecord(folder))).toBe('2026-11-02-x86_64.json');
  });
});

describe('the newest committed record', () => {
  it('names neither a path nor the host’s name', async () => {
    const text = await readFile(await newestRecord(), 'utf8');
    expect(text).not.toMatch(/"[^"]*\/(home|root|work|Users)\//);
  });

  it('is what the README’s table was made of', async () => {
    const readme = await readFile(packageFile('README.md'), 'utf8');
    const [, rest = ''] = readme.split(MARKERS.begin);
    const [table = ''] = rest.split(MARKERS.end);
    expect(table.trim()).toBe(renderMarkdown(await readRecord(await newestRecord())));
  });
});
