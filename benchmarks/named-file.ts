/** Files that the user named: what the system says of them is an answer to the user, and no fault of this program. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../host/errors.ts';
import { writeWhole } from '../host/files.ts';

/** errno(3), in words for the person who named the file. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'You may not use it.',
  EEXIST: 'A part of its path is a file and no folder.',
  EISDIR: 'It is a folder.',
  ELOOP: 'Its links lead in a circle.',
  ENAMETOOLONG: 'Its name is too long.',
  ENOENT: 'It does not exist, or its folder does not.',
  ENOTDIR: 'A part of its path is a file and no folder.',
  EPERM: 'You may not use it.',
  EROFS: 'Its file system is read-only.',
};

/** Runs what reads or writes it. Throws `E_INVALID` for what the system refuses, else what it throws. */
export async function withNamedFile<T>(file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const why = REASONS[(error as NodeJS.ErrnoException).code ?? ''];
    if (why === undefined) throw error;
    throw new RosettaVmError('E_INVALID', {
      what: `The file ${file} cannot be used.`,
      why,
      fix: 'Name another one.',
      facts: { file },
      cause: error,
    });
  }
}

/** As {@link writeWhole}. Throws `E_INVALID` too. */
export const writeNamedFile = (file: string, text: string): Promise<void> =>
  withNamedFile(file, () => writeWhole(path.resolve(file), text, 0o644));

/** Makes the folder of a file that will be written later. Throws `E_INVALID` where none could be. */
export const requireRoomFor = (file: string): Promise<void> =>
  withNamedFile(file, async () => {
    await mkdir(path.dirname(file), { recursive: true });
    const found = await stat(file).catch(() => null);
    if (found?.isDirectory() === true) throw Object.assign(new Error(file), { code: 'EISDIR' });
  });
