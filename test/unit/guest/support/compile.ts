/** Builds the guest's C programs for this host, as `npm run build` does for the guest. */
import path from 'node:path';
import { compileGuestProgram } from '../../../../host/dev/guest-compiler.mjs';
import { packageFile } from '../../../../host/package-root.ts';

/** Compiles one of them with other paths than the guest's (`-D`); resolves to the program in `folder`. */
export async function compileForHost(
  name: 'router' | 'runc',
  folder: string,
  paths: Readonly<Record<string, string>>,
): Promise<string> {
  const output = path.join(folder, `${name}-for-tests`);
  const definitions = Object.entries(paths).map(([macro, value]) => `-D${macro}="${value}"`);
  await compileGuestProgram(packageFile('.'), name, ['cc', ...definitions], output);
  return output;
}
