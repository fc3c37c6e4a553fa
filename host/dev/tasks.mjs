// The tasks behind `npm run …`. Each takes the repository's root and the remaining arguments, and gives an exit status.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { buildAll, watchAll } from './build.mjs';
import { packGuest } from './guest-package.mjs';
import { buildNative, packNative } from './native.mjs';

export const tasks = {
  build: async (root) => {
    await buildAll(root);
    return await node(root, 'typescript/bin/tsc', ['-p', 'host/dev/tsconfig.types.json']);
  },
  'build:native': (root, rest) => buildNative((words) => node(root, 'node-gyp/bin/node-gyp.js', words), rest),
  'pack:native': packNative,
  'pack:guest': packGuest,
  dev: async (root) => {
    await watchAll(root);
    return 0;
  },
  check: (root) => node(root, 'typescript/bin/tsc', ['--noEmit']),
  lint: (root, rest) => node(root, '@biomejs/biome/bin/biome', ['check', ...rest]),
  demo: async (root, rest) => {
    await buildAll(root, { install: true });
    return await run(root, process.execPath, [path.join(root, 'dist/demo.js'), ...rest]);
  },
  'mac-check': async (root, rest) => {
    // A Mac seldom has a compiler for the guest's programs; a release brings them.
    const built = existsSync(path.join(root, 'dist/guest/router'));
    await buildAll(root, { only: ['host', 'machineHost', 'agent', ...(built ? [] : ['guestPrograms'])] });
    return await run(root, process.execPath, [path.join(root, 'dist/mac-check.js'), ...rest]);
  },
  'vm:agent': async (root, rest) => {
    await buildAll(root, { only: ['agent', 'guestPrograms'] });
    return await run(root, process.execPath, [path.join(root, 'dist/rosetta-vm.js'), 'agent-restart', ...rest]);
  },
  'test:unit': (root, rest) => vitest(root, ['--project', 'unit', ...rest]),
  'test:programs': (root, rest) => vitest(root, ['--project', 'programs', ...rest]),
  test: async (root, rest) => {
    const { testAll } = await import('./test-all.mjs');
    return await testAll(root, rest);
  },
};

/** Runs vitest with the project's configuration. */
export function vitest(root, args) {
  return node(root, 'vitest/vitest.mjs', ['run', '--config', 'test/vitest.config.ts', ...args]);
}

/** Runs a JavaScript program of a dependency. */
export function node(root, script, args) {
  return run(root, process.execPath, [path.join(root, 'node_modules', script), ...args]);
}

/** Runs a program on this terminal; resolves to its exit status (128 + n for a signal). */
export function run(root, program, args, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', env });
    const forward = (signal) => child.kill(signal);
    // A terminal sends Ctrl-C to the child as well: forwarded, it would count as the second one, which ends at once.
    const wait = () => {};
    process.on('SIGINT', wait);
    process.on('SIGTERM', forward);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('SIGINT', wait);
      process.off('SIGTERM', forward);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}
