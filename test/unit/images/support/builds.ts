/** Builds of images from a small archive on this host, each test in a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { ImageStore } from '../../../../images/index.ts';
import { serveArchive, type TestArchive } from './archive.ts';
import { guestArchive } from './guest.ts';

export let home: string;
export let archive: TestArchive;

export const storeIn = (folder: string): ImageStore => ({
  images: path.join(folder, 'images'),
  downloads: path.join(folder, 'downloads'),
  tools: path.join(folder, 'tools'),
});
const fast = { idleMs: 2_000, retryMs: 1 };
export const options = (from: TestArchive = archive) => ({
  mirror: from.url,
  keys: from.keys,
  hostRoot: home,
  pace: fast,
  now: Math.max(Date.now(), Date.parse('2026-11-21T10:00:00Z')) / 1000,
});

/** To be called once in a test file, for what else is here. */
export function useBuilds(): void {
  beforeAll(async () => {
    archive = await serveArchive(guestArchive());
  });
  afterAll(() => archive.close());
  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'rvm-image-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));
}
