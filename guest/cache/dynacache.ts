/** box64's DynaCache: programs write their translations themselves, at their end, into a folder that all share. */
import path from 'node:path';
import type { CacheBackend } from './cache.ts';
import { checkDynacacheFile, readProgram } from './dynacache-file.ts';

export const dynacache: CacheBackend = {
  name: 'dynacache',
  // Programs of every user write here, so it is like /tmp: all may add, nobody removes another's entry. It follows that
  // one program of the guest can plant a translation for another; all of them belong to the guest's one owner.
  directoryMode: 0o1777,
  isEntry: (file) => file.endsWith('.box64'),
  // box64 writes to this name, then renames (src/tools/dynacache.c, DynaCacheOpenTempFile).
  isLeftover: (file) => file.includes('.box64.tmp.'),
  programOf: async (directory, file) => (await readProgram(path.join(directory, file))) ?? file,
  check: (directory, { file }) => checkDynacacheFile(path.join(directory, file), file),
};
