/** The file that a machine's state is saved to: whole or absent. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../errors.ts';
import { syncFolder } from '../../files.ts';

/** Has a file written under another name beside it, then renames it. Throws what `write` throws, and the file system. */
export async function writeSavedState(file: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await write(temporary);
    await syncFile(temporary);
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Throws `E_NOT_FOUND` when there is nothing to restore. */
export async function requireSavedState(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `There is no saved state to be read at ${file}.`,
      why: (error as Error).message,
      fix: 'Start the machine without it: its disks keep everything.',
      facts: { path: file },
      cause: error,
    });
  }
}

/** Throws `E_NOT_FOUND` when the folder that a state should be saved in cannot be written to. */
export async function requireFolderOf(file: string): Promise<void> {
  const folder = path.dirname(file);
  try {
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `A state cannot be saved in ${folder}.`,
      why: (error as Error).message,
      fix: 'Name a file in a folder that exists and that this user may write to.',
      facts: { path: folder },
      cause: error,
    });
  }
}

async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
