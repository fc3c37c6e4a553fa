/**
 * A root file system on its way into an archive. It is streamed: one package's file is in memory at a time. The rules
 * that a package manager would apply are here: the merged /usr, parents before children, the first of two wins.
 */
import path from 'node:path/posix';
import { RosettaVmError } from '../../host/errors.ts';
import type { Entry } from '../archive/entry.ts';
import type { TarWriter } from '../archive/tar-write.ts';

export interface RootTree {
  /**
   * Adds an entry, after its parents. Answers false, and does nothing, when the path is taken. Throws `E_INVALID` for
   * a hard link to what is not there.
   */
  add(entry: Entry): Promise<boolean>;
  has(name: string): boolean;
}

/** `merged` are the top-level folders that are links into /usr, such as `bin` (Debian Policy 10.1, merged /usr). */
export async function rootTree(tar: TarWriter, merged: readonly string[]): Promise<RootTree> {
  const types = new Map<string, Entry['type']>();

  /** Where a package's path really lies. */
  const settle = (name: string): string => {
    const [top = ''] = name.split('/', 1);
    return merged.includes(top) ? `usr/${name}` : name;
  };
  async function put(entry: Entry): Promise<void> {
    types.set(entry.path, entry.type);
    await tar.add(entry);
  }
  async function addParents(name: string): Promise<void> {
    const parent = path.dirname(name);
    if (parent === '.' || types.has(parent)) return;
    await addParents(parent);
    await put(folder(parent));
  }

  await put(folder(''));
  for (const name of ['usr', ...merged.map((top) => `usr/${top}`)]) await put(folder(name));
  for (const top of merged) {
    await put({ path: top, type: 'symlink', target: `usr/${top}`, mode: 0o777, uid: 0, gid: 0 });
  }

  return {
    has: (name) => types.has(settle(name)),
    async add(entry) {
      const name = settle(entry.path);
      if (types.has(name)) return false;
      const target = entry.type === 'hardlink' ? settle(entry.target) : null;
      if (target !== null && types.get(target) !== 'file' && types.get(target) !== 'hardlink') {
        throw new RosettaVmError('E_INVALID', {
          what: 'A package cannot be unpacked.',
          why: `Its file ${name} is a hard link to ${target}, which is not there.`,
          fix: 'Choose another mirror with `--mirror URL`; if it stays, report it.',
        });
      }
      await addParents(name);
      await put(target === null ? { ...entry, path: name } : ({ ...entry, path: name, target } as Entry));
      return true;
    },
  };
}

type Of<T extends Entry['type']> = Extract<Entry, { readonly type: T }>;

/** A folder that belongs to root. */
export const folder = (name: string, mode = 0o755): Of<'directory'> => ({
  path: name,
  type: 'directory',
  mode,
  uid: 0,
  gid: 0,
});

/** A file that belongs to root. */
export const file = (name: string, content: string | Buffer, mode = 0o644): Of<'file'> => ({
  path: name,
  type: 'file',
  content: typeof content === 'string' ? Buffer.from(content) : content,
  mode,
  uid: 0,
  gid: 0,
});

/** A symbolic link; `target` is as it will be read. */
export const link = (name: string, target: string): Of<'symlink'> => ({
  path: name,
  type: 'symlink',
  target,
  mode: 0o777,
  uid: 0,
  gid: 0,
});
