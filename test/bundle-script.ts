/** A TypeScript file as one script that a process of its own can run, whatever its folder. */
import { build } from 'esbuild';
import { packageFile } from '../host/package-root.ts';

/** `source` is a path in the package. */
export async function bundleScript(source: string, script: string): Promise<void> {
  await build({
    entryPoints: [packageFile(source)],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    define: { ROSETTA_VM_VERSION: '"0.0.0-test"' },
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: 'silent',
  });
}
