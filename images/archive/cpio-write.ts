/** Writes what the kernel takes as an initial RAM disk: a "newc" cpio archive (kernel: driver-api/early-userspace/buffer-format.rst). */
import type { Entry } from './entry.ts';

/** File types of the mode field: S_IFDIR, S_IFREG, S_IFLNK (inode(7)). */
const FORMAT_BITS = { directory: 0o040000, file: 0o100000, symlink: 0o120000, hardlink: 0o100000 } as const;

/**
 * The archive's bytes, which depend on the entries alone: dates are zero and inode numbers count up. Parents stand
 * before children in `entries`. Hard links are not written: an initial RAM disk needs none.
 */
export function writeCpio(entries: readonly Exclude<Entry, { readonly type: 'hardlink' }>[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    const content =
      entry.type === 'file' ? entry.content : Buffer.from(entry.type === 'symlink' ? entry.target : '', 'utf8');
    parts.push(...record(entry.path, index + 1, FORMAT_BITS[entry.type] | entry.mode, entry, content));
  });
  parts.push(...record('TRAILER!!!', 0, 0, { uid: 0, gid: 0 }, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function record(
  name: string,
  inode: number,
  mode: number,
  { uid, gid }: { readonly uid: number; readonly gid: number },
  content: Buffer,
): Buffer[] {
  const nameBytes = Buffer.from(`${name}\0`, 'utf8');
  const fields = [inode, mode, uid, gid, 1, 0, content.length, 0, 0, 0, 0, nameBytes.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`, 'latin1');
  return [header, nameBytes, padding(header.length + nameBytes.length), content, padding(content.length)];
}

/** Name and content end at multiples of four. */
const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
