/** Packages into a root file system, one after the other. */
import { asRosettaVmError } from '../../host/errors.ts';
import type { Entry } from '../archive/entry.ts';
import { packageFiles } from '../debian/deb.ts';
import type { RootTree } from './tree.ts';

/** A package, and its .deb in the download cache. */
export interface Deb {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  /** Of the .deb. */
  readonly bytes: number;
}

export interface UnpackOptions {
  /** Where files go; null: nowhere, they are only read. */
  readonly tree: RootTree | null;
  /** Files that do not go into the tree. */
  readonly isDropped: (name: string) => boolean;
  /** Files whose contents (of `bytes`) are kept and answered, dropped or not. */
  readonly isRead: (name: string, bytes: number) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called after each package. */
  readonly onPackage?: ((deb: Deb) => void) | undefined;
}

/**
 * Unpacks the packages in the order given, without running anything of them. Answers the files asked for by
 * `isRead`, by their path in the package; of two packages with the same path the first counts, as in the tree.
 * Throws `E_INVALID` for what is no proper package, `E_ABORTED` when asked to.
 */
export async function unpackPackages(debs: readonly Deb[], options: UnpackOptions): Promise<Map<string, Entry>> {
  const read = new Map<string, Entry>();
  for (const deb of debs) {
    for await (const entry of packageFiles(deb.file, `${deb.name} ${deb.version}`)) {
      if (options.signal?.aborted === true) throw asRosettaVmError(options.signal.reason);
      const isWanted = options.isRead(entry.path, entry.bytes) && !read.has(entry.path);
      const isPlaced = options.tree !== null && !options.isDropped(entry.path);
      if (!isWanted && !isPlaced) continue;
      const loaded = await entry.load();
      if (isWanted) read.set(entry.path, loaded);
      if (isPlaced) await options.tree?.add(loaded);
    }
    options.onPackage?.(deb);
  }
  return read;
}

/** Whether `name` is a file or, for a library such as `libz.so.1`, what its link may point to (`libz.so.1.3`). */
export const isFileOrVersion = (file: string, name: string): boolean => name === file || name.startsWith(`${file}.`);

/**
 * The content of a file that was read, through symbolic links within the set. Null when it is not there.
 */
export function contentOf(read: ReadonlyMap<string, Entry>, name: string): Buffer | null {
  const seen = new Set<string>();
  for (let at = name; !seen.has(at); ) {
    seen.add(at);
    const entry = read.get(at);
    if (entry?.type === 'file') return entry.content;
    if (entry?.type !== 'symlink' || entry.target.includes('/')) return null;
    at = `${at.slice(0, at.lastIndexOf('/') + 1)}${entry.target}`;
  }
  return null;
}
