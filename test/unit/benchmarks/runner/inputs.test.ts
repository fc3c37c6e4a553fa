/** What a benchmark works on, brought by the guest's own programs; here this computer's run the same scripts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bringInput, isBuilt } from '../../../../benchmarks/runner/inputs.ts';
import type { Input } from '../../../../benchmarks/suites/schema.ts';
import type { AgentClient } from '../../../../host/index.ts';
import { packageFile } from '../../../../host/package-root.ts';
import { statePaths } from '../../../../host/paths.ts';
import { ignoreProgress } from '../../../../host/progress.ts';

const agent = {
  exec: async ({ argv: [program = '', ...args] }: { readonly argv: readonly string[] }) => {
    const child = spawn(program, args, { stdio: 'pipe' });
    return {
      ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr },
      exit: once(child, 'close').then(([code, signal]) => ({ code, signal })),
      close: () => child.kill(),
    };
  },
} as unknown as AgentClient;

/** Resolves to the layer's folder. */
async function brought(input: Input): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-inputs-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await bringInput(input, {
    agent,
    layer: { tree: '/', setup: folder, scratch: folder },
    architecture: 'amd64',
    paths: statePaths({ ROSETTA_VM_HOME: folder }),
    signal: new AbortController().signal,
    onProgress: ignoreProgress,
  });
  return folder;
}

describe('an example', () => {
  test('that is a folder comes without what work in the checkout left, always as old', async () => {
    const folder = path.join(await brought({ example: 'npm-offline', to: '/src/npm' }), 'src/npm');
    expect((await readdir(folder)).sort()).toEqual(['.gitignore', 'README.md', 'package.json', 'vendor.sh']);
    expect((await stat(path.join(folder, 'package.json'))).mtime).toEqual(new Date('2026-01-01T00:00:00Z'));
  });

  test('that is a file gets the name that is wanted', async () => {
    const folder = await brought({ example: 'hello.c', to: '/src/main.c' });
    const wanted = await readFile(packageFile('examples/hello.c'), 'utf8');
    expect(await readFile(path.join(folder, 'src/main.c'), 'utf8')).toBe(wanted);
  });

  test.each([
    ['./src/tally.o', true],
    ['./config.h', true],
    ['./node_modules', true],
    ['./package-lock.json', true],
    ['./vendor', true],
    ['./vendor.sh', false],
    ['./configure', false],
    ['./package.json', false],
  ])('%s is left by its own build: %s', (name, expected) => {
    expect(isBuilt(name)).toBe(expected);
  });
});

describe('examples/npm-offline', () => {
  test('has dependencies that are archives beside it, named as vendor.sh names them', async () => {
    const text = await readFile(packageFile('examples/npm-offline/package.json'), 'utf8');
    const { dependencies } = JSON.parse(text) as { readonly dependencies: Readonly<Record<string, string>> };
    const names = Object.keys(dependencies);
    expect(Object.values(dependencies)).toEqual(names.map((name) => `file:vendor/${name}.tgz`));
    const suite = await readFile(packageFile('benchmarks/suites/install.yaml'), 'utf8');
    expect(suite).toContain(`npm ci, ${names.length} packages`);
  });
});
