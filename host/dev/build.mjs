// Bundles: the command line (split, so that a command loads only what it uses), the library, the host process (one
// file: it outlives an upgrade of the package) and the guest's agent (one file for Debian's nodejs).
import { chmod, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { build, context } from 'esbuild';
import { buildGuestPrograms } from './guest-programs.mjs';
import { sourceState } from './source-state.mjs';

/** Debian trixie's nodejs is 20.19; the package's floor is the same. */
const TARGET = 'node20.19';

/** Some bundled libraries are CommonJS and call `require` for Node's own modules. */
const REQUIRE_SHIM =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

async function configurations(root, source) {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: TARGET,
    format: 'esm',
    logLevel: 'warning',
    legalComments: 'none',
    define: { ROSETTA_VM_VERSION: JSON.stringify(version) },
  };
  return {
    host: {
      ...common,
      entryPoints: {
        'rosetta-vm': 'host/cli/rosetta-vm.ts',
        index: 'host/index.ts',
        demo: 'benchmarks/demo/main.ts',
        bench: 'benchmarks/bench/main.ts',
        'mac-check': 'host/dev/mac-check/main.ts',
      },
      define: { ...common.define, ROSETTA_VM_SOURCE: JSON.stringify(source) },
      outdir: 'dist',
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
      banner: { js: REQUIRE_SHIM },
    },
    machineHost: {
      ...common,
      entryPoints: { 'machine-host': 'host/machine/host-main.ts' },
      outdir: 'dist',
      banner: { js: REQUIRE_SHIM },
    },
    agent: {
      ...common,
      entryPoints: { agent: 'guest/agent/main.ts' },
      outdir: 'dist',
      format: 'cjs',
      outExtension: { '.js': '.cjs' },
      minify: true,
    },
  };
}

/**
 * Builds everything, or only the named parts (`host`, `machineHost`, `agent`, `guestPrograms`). With `install` a missing
 * compiler is installed where that can be done.
 */
export async function buildAll(root, { only, install = false } = {}) {
  const all = await configurations(root, sourceState(root));
  const chosen = Object.entries(all).filter(([name]) => only === undefined || only.includes(name));
  if (only === undefined) await rm(path.join(root, 'dist'), { recursive: true, force: true });
  await Promise.all(chosen.map(([, options]) => build(options)));
  if (only === undefined || only.includes('guestPrograms')) {
    await buildGuestPrograms(root, install ? installer(root) : undefined);
  }
  await Promise.all(
    ['rosetta-vm', 'bench'].map((name) => chmod(path.join(root, `dist/${name}.js`), 0o755).catch(() => {})),
  );
}

/** The library's own way to install packages of the host, from the bundle that was built a moment ago. */
function installer(root) {
  return async (packages) => {
    const { installPackages } = await import(path.join(root, 'dist/index.js'));
    await installPackages(packages, {
      onProgress: (event) => {
        if (event.kind === 'begin') process.stderr.write(`${event.title} …\n`);
      },
    });
  };
}

/** Rebuilds on change until interrupted. */
export async function watchAll(root) {
  await buildGuestPrograms(root);
  // What is built on a change is no longer what was there at the start, whatever git said then.
  const source = sourceState(root);
  const all = await configurations(root, source === null ? null : { ...source, dirty: true });
  const contexts = await Promise.all(Object.values(all).map((options) => context(options)));
  await Promise.all(contexts.map((one) => one.watch()));
  process.stderr.write('Watching; Ctrl-C ends it.\n');
  await new Promise((resolve) => process.once('SIGINT', resolve));
  await Promise.all(contexts.map((one) => one.dispose()));
}
