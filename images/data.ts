/** Files that travel with the package and are read at run time: the overlay and the archive keys. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Absolute path of `images/<relative>` of this package. The code runs from `images/` in a checkout and from `dist/` or
 * `dist/chunks/` when bundled, so the package's root is found by going up.
 */
export function imageData(relative: string): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = path.join(folder, 'images', relative);
    if (existsSync(path.join(folder, 'package.json')) && existsSync(candidate)) return candidate;
    const parent = path.dirname(folder);
    if (parent === folder) return path.join(path.dirname(fileURLToPath(import.meta.url)), relative);
    folder = parent;
  }
}
