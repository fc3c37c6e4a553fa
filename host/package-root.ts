/** Where the package's own files are: the code runs from the sources in a checkout and from `dist/` when it is bundled. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of a file of this package, such as `dist/agent.cjs`; whether it exists is the caller's affair. */
export function packageFile(relative: string): string {
  return path.join(packageRoot(path.dirname(fileURLToPath(import.meta.url))), relative);
}

function packageRoot(folder: string): string {
  if (existsSync(path.join(folder, 'package.json'))) return folder;
  const parent = path.dirname(folder);
  return parent === folder ? folder : packageRoot(parent);
}
