/**
 * Folders in the making: built beside their destination under a name that says whose they are, then renamed into place
 * whole. What a dead process left is removed by the next one.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder } from '../host/files.ts';

const WORKSPACE = /^\.making-(\d+)-[0-9a-f]{8}$/;

/**
 * Runs `build` with an empty folder inside `parent`, and removes the folder afterwards, unless {@link publish} has
 * moved it away. Failures and aborts so leave nothing behind.
 */
export async function withWorkspace<T>(parent: string, build: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeAbandoned(parent);
  const folder = path.join(parent, `.making-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { mode: 0o700 });
  try {
    return await build(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const owner = WORKSPACE.exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner)))
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

/**
 * Moves a finished folder to `target`. False when there is one already: whoever is first wins, and both hold the same.
 */
export async function publish(folder: string, target: string): Promise<boolean> {
  await syncFolder(folder);
  try {
    await rename(folder, target);
  } catch (error) {
    // rename(2): the destination is a folder that is not empty.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
  await syncFolder(path.dirname(target));
  return true;
}

/** Removes a folder, if it is there: from the first moment on it is gone, however long the rest takes. */
export async function discard(target: string): Promise<void> {
  await withWorkspace(path.dirname(target), async (folder) => {
    await rename(target, path.join(folder, 'discarded')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  });
}

/** Whether a process of this number exists, be it another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
