/** One cache folder: what is in it, what is wrong with it, and what has to go. Every backend's files look alike here. */
import { readdir, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { CachePruneRequest, CachePruneResult, CacheStats, CacheVerifyResult } from '../translation-protocol.ts';
import type { CacheBackend, CacheEntry } from './cache.ts';

const MAX_PROGRAM_ROWS = 1000;
/** An interrupted write is older than this; box64 uses the same time. */
const LEFTOVER_SECONDS = 60;

export interface CacheSummary extends Pick<CacheStats, 'entries' | 'bytes' | 'oldestMs' | 'newestMs' | 'programs'> {}

/** Entries of the folder, the least recently used first. */
export async function listEntries(backend: CacheBackend, directory: string): Promise<CacheEntry[]> {
  const files = (await readdir(directory)).filter((file) => backend.isEntry(file));
  const found = await Promise.all(files.map((file) => inspect(directory, file)));
  return found.filter((entry) => entry !== undefined).sort((a, b) => a.usedMs - b.usedMs);
}

export async function summarize(backend: CacheBackend, directory: string): Promise<CacheSummary> {
  const entries = await listEntries(backend, directory);
  const programs = new Map<string, { name: string; entries: number; bytes: number; newestMs: number }>();
  for (const entry of entries) {
    const name = await backend.programOf(directory, entry.file).catch(() => entry.file);
    const row = programs.get(name) ?? { name, entries: 0, bytes: 0, newestMs: 0 };
    row.entries += 1;
    row.bytes += entry.bytes;
    row.newestMs = Math.max(row.newestMs, entry.usedMs);
    programs.set(name, row);
  }
  const oldest = entries[0];
  const newest = entries.at(-1);
  return {
    entries: entries.length,
    bytes: totalBytes(entries),
    ...(oldest === undefined ? {} : { oldestMs: oldest.usedMs }),
    ...(newest === undefined ? {} : { newestMs: newest.usedMs }),
    programs: [...programs.values()].sort((a, b) => b.bytes - a.bytes).slice(0, MAX_PROGRAM_ROWS),
  };
}

export async function verify(backend: CacheBackend, directory: string): Promise<CacheVerifyResult> {
  const entries = await listEntries(backend, directory);
  const corrupt = await findCorrupt(backend, directory, entries);
  return { checked: entries.length, corrupt: [...corrupt].map(([entry, reason]) => ({ entry, reason })) };
}

/** Which entries a prune removes, and why; pure, so that a dry run says exactly what the real one does. */
export function choosePruned(
  entries: readonly CacheEntry[],
  corrupt: ReadonlySet<string>,
  request: CachePruneRequest & { readonly keepBytes: number },
  nowMs: number,
): CacheEntry[] {
  const oldestKept = request.olderThanSeconds === undefined ? -Infinity : nowMs - request.olderThanSeconds * 1000;
  const pruned = new Set(
    entries.filter((entry) => request.all === true || corrupt.has(entry.file) || entry.usedMs < oldestKept),
  );
  let remaining = totalBytes(entries.filter((entry) => !pruned.has(entry)));
  for (const entry of [...entries].sort((a, b) => a.usedMs - b.usedMs)) {
    if (remaining <= request.keepBytes) break;
    if (pruned.has(entry)) continue;
    pruned.add(entry);
    remaining -= entry.bytes;
  }
  return [...pruned];
}

/** Removes corrupt entries, then by the request's rules. Files that other programs removed meanwhile do not matter. */
export async function prune(
  backend: CacheBackend,
  directory: string,
  request: CachePruneRequest & { readonly keepBytes: number },
): Promise<CachePruneResult> {
  const dryRun = request.dryRun === true;
  const entries = await listEntries(backend, directory);
  const corrupt = new Set((await findCorrupt(backend, directory, entries)).keys());
  const pruned = choosePruned(entries, corrupt, request, Date.now());
  if (!dryRun) {
    await removeLeftovers(backend, directory);
    for (const { file } of pruned) await unlink(path.join(directory, file)).catch(ignoreAbsence);
  }
  const removedBytes = totalBytes(pruned);
  return {
    removedEntries: pruned.length,
    removedBytes,
    removedCorrupt: pruned.filter(({ file }) => corrupt.has(file)).length,
    remainingEntries: entries.length - pruned.length,
    remainingBytes: totalBytes(entries) - removedBytes,
    dryRun,
  };
}

/** Removes those of the named entries that are corrupt; tells which, and why. */
export async function removeCorrupt(
  backend: CacheBackend,
  directory: string,
  files: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    files.filter((file) => backend.isEntry(file)).map((file) => inspect(directory, file)),
  );
  const corrupt = await findCorrupt(
    backend,
    directory,
    found.filter((entry) => entry !== undefined),
  );
  for (const file of corrupt.keys()) await unlink(path.join(directory, file)).catch(ignoreAbsence);
  return corrupt;
}

async function findCorrupt(
  backend: CacheBackend,
  directory: string,
  entries: readonly CacheEntry[],
): Promise<Map<string, string>> {
  const corrupt = new Map<string, string>();
  for (const entry of entries) {
    const reason = await backend.check(directory, entry).catch((error: NodeJS.ErrnoException) =>
      // Replaced or removed by a program since it was listed: not our business any more.
      error.code === 'ENOENT' ? undefined : `It cannot be read: ${error.message}`,
    );
    if (reason !== undefined) corrupt.set(entry.file, reason);
  }
  return corrupt;
}

async function removeLeftovers(backend: CacheBackend, directory: string): Promise<void> {
  for (const file of (await readdir(directory)).filter((name) => backend.isLeftover(name))) {
    const found = await inspect(directory, file);
    if (found !== undefined && Date.now() - found.usedMs > LEFTOVER_SECONDS * 1000) {
      await unlink(path.join(directory, file)).catch(ignoreAbsence);
    }
  }
}

async function inspect(directory: string, file: string): Promise<CacheEntry | undefined> {
  const found = await stat(path.join(directory, file)).catch(() => undefined);
  return found?.isFile() === true ? { file, bytes: found.size, usedMs: found.mtimeMs } : undefined;
}

function ignoreAbsence(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

const totalBytes = (entries: readonly CacheEntry[]): number => entries.reduce((sum, entry) => sum + entry.bytes, 0);
