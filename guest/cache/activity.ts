/** What a cache gave in a time span, told from its files' times alone. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { CacheActivity } from '../translation-protocol.ts';
import type { CacheBackend } from './cache.ts';

const MAX_PROGRAM_ROWS = 1000;

export interface TimeSpan {
  readonly sinceMs: number;
  readonly untilMs: number;
}

type Found = Pick<CacheActivity, 'newEntries' | 'newBytes' | 'reusedEntries' | 'programs'>;

/**
 * An entry was written when its file was born: a backend writes to another name, then renames. It was used when its
 * file was last read through the mount point, which is mounted with strictatime (mount(8)).
 */
export async function readActivity(backend: CacheBackend, directory: string, span: TimeSpan): Promise<Found> {
  const within = (timeMs: number): boolean => timeMs >= span.sinceMs && timeMs <= span.untilMs;
  const programs = new Map<string, Found['programs'][number]>();
  for (const file of (await readdir(directory)).filter((name) => backend.isEntry(name))) {
    const status = await stat(path.join(directory, file)).catch(() => undefined);
    if (status === undefined) continue;
    const isNew = within(status.birthtimeMs);
    if (!isNew && !within(status.atimeMs)) continue;
    const name = await backend.programOf(directory, file).catch(() => file);
    const row = programs.get(name) ?? { name, newEntries: 0, newBytes: 0, reusedEntries: 0 };
    programs.set(name, {
      name,
      newEntries: row.newEntries + (isNew ? 1 : 0),
      newBytes: row.newBytes + (isNew ? status.size : 0),
      reusedEntries: row.reusedEntries + (isNew ? 0 : 1),
    });
  }
  const rows = [...programs.values()].sort((a, b) => entries(b) - entries(a) || (a.name < b.name ? -1 : 1));
  const sum = (value: (row: Found['programs'][number]) => number): number =>
    rows.reduce((total, row) => total + value(row), 0);
  return {
    newEntries: sum((row) => row.newEntries),
    newBytes: sum((row) => row.newBytes),
    reusedEntries: sum((row) => row.reusedEntries),
    programs: rows.slice(0, MAX_PROGRAM_ROWS),
  };
}

const entries = (row: Found['programs'][number]): number => row.newEntries + row.reusedEntries;
