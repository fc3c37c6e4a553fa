/** The project's own files for a root, as they lie in a folder of the package. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { Entry } from '../archive/entry.ts';
import { isElf } from '../elf.ts';
import { file, folder, link } from './tree.ts';

/**
 * Every file below `source`, sorted by path, owned by root. Programs (scripts with `#!`, ELF files) get 0755 and the
 * rest 0644, whatever the modes on this disk: a package registry's archive does not keep them faithfully.
 */
export async function overlayEntries(source: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  async function visit(relative: string): Promise<void> {
    const children = await readdir(path.join(source, relative), { withFileTypes: true });
    for (const child of children.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = relative === '' ? child.name : `${relative}/${child.name}`;
      const onDisk = path.join(source, name);
      if (child.isDirectory()) {
        entries.push(folder(name));
        await visit(name);
      } else if (child.isSymbolicLink()) {
        entries.push(link(name, await readlink(onDisk)));
      } else {
        const content = await readFile(onDisk);
        const isProgram = isElf(content) || content.toString('latin1', 0, 2) === '#!';
        entries.push(file(name, content, isProgram ? 0o755 : 0o644));
      }
    }
  }
  await visit('');
  return entries;
}
