/** A folder of its own for each test, with a path short enough for sockets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
