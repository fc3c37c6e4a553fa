/** Licences of an image's packages, from the copyright files that they bring (Debian Policy 12.5). */
import type { Entry } from './archive/entry.ts';
import { declaredLicenses } from './debian/copyright.ts';
import type { Deb } from './root/unpack.ts';

/** Larger files are not read; Debian's largest, chromium's, has about 2 MB. */
const MAX_COPYRIGHT_BYTES = 4 * 1024 * 1024;

/** What packages declare, by {@link packageKey}; without an entry nothing is known. */
export type PackageLicenses = ReadonlyMap<string, readonly string[]>;

export const packageKey = ({ name, version }: { readonly name: string; readonly version: string }): string =>
  `${name} ${version}`;

/** Whether {@link packageLicenses} wants this file: a copyright file, or what may be a link to another package's folder. */
export const isCopyright = (name: string, bytes: number): boolean =>
  /^usr\/share\/doc\/[^/]+(?:\/copyright)?$/.test(name) && bytes <= MAX_COPYRIGHT_BYTES;

/** The licences that packages declare. `read` holds the files chosen by {@link isCopyright}. */
export function packageLicenses(debs: readonly Deb[], read: ReadonlyMap<string, Entry>): PackageLicenses {
  return new Map(
    debs.flatMap((deb) => {
      const entry = read.get(`usr/share/doc/${folderOf(deb.name, read)}/copyright`);
      const declared = entry?.type === 'file' ? declaredLicenses(entry.content.toString('utf8')) : null;
      return declared === null ? [] : [[packageKey(deb), declared] as const];
    }),
  );
}

/** A package may link its folder to that of another one of the same source, which it depends on (Policy 12.5). */
function folderOf(name: string, read: ReadonlyMap<string, Entry>): string {
  const entry = read.get(`usr/share/doc/${name}`);
  return entry?.type === 'symlink' && !entry.target.includes('/') ? entry.target : name;
}
