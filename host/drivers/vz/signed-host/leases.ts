/** Who uses which signed copy, and removing those that nobody uses. All of it under the lock of the hosts' folder. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isLocked, type Lock, tryLock } from '../../../process/lock.ts';

/** A folder for a copy in the making or on its way out; a crash may leave one. */
const TEMPORARY = /^\.(making|removing)-[0-9a-f]{8}$/;
const KEY = /^[0-9a-f]{16}$/;

export const temporaryName = (purpose: 'making' | 'removing'): string =>
  `.${purpose}-${randomBytes(4).toString('hex')}`;

const users = (directory: string): string => path.join(directory, 'users');

/**
 * A lock on a file of its own in the copy's folder. The host process inherits the descriptor, and with it the lock, so
 * that it lasts exactly as long as the process (flock(2): the lock belongs to the open file description).
 */
export async function takeLease(directory: string): Promise<Lock> {
  await mkdir(users(directory), { recursive: true, mode: 0o700 });
  const lease = await tryLock(path.join(users(directory), `${randomBytes(8).toString('hex')}.lock`));
  if (lease === null) throw new Error('A lock file with a new random name was locked.');
  return lease;
}

/** Whether a process holds a lease; files of those that ended are removed. */
export async function isUsed(directory: string): Promise<boolean> {
  const names = await readdir(users(directory)).catch(() => []);
  const held = await Promise.all(
    names.map(async (name) => {
      const file = path.join(users(directory), name);
      if (await isLocked(file)) return true;
      await rm(file, { force: true });
      return false;
    }),
  );
  return held.includes(true);
}

/** Removes copies that nobody holds a lease of, and what a crash left. Other files in the folder are left alone. */
export async function collectGarbage(hosts: string): Promise<void> {
  for (const name of await readdir(hosts)) {
    const directory = path.join(hosts, name);
    if (TEMPORARY.test(name)) await rm(directory, { recursive: true, force: true });
    else if (KEY.test(name) && !(await isUsed(directory))) await removeCopy(directory);
  }
}

/**
 * At once out of the way, then gone; one that is not there is no error. A process that runs on it goes on: its files
 * stay as long as they are open.
 */
export async function removeCopy(directory: string): Promise<void> {
  const aside = path.join(path.dirname(directory), temporaryName('removing'));
  try {
    await rename(directory, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}
