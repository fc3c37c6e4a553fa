/** What a benchmark works on, brought by the guest's own programs; here this computer's run the same scripts. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bringInput, isBuilt } from '../../../../benchmarks/runner/inputs.ts';
import type { Input } from '../../../../benchmarks/suites/schema.ts';
import type { AgentClient } from '../../../../host/index.ts';
import { packageFile } from '../../../../host/package-root.ts';
import { statePaths } from '../../../../host/paths.ts';
import { ignoreProgress } from '../../../../host/progress.ts';

/** First on PATH, as in the guest: some things are busybox's. */
let programs = '';
const agent = {
  exec: async ({ argv: [program = '', ...args] }: { readonly argv: readonly string[] }) => {
    const child = spawn(program, args, { stdio: 'pipe', env: { PATH: `${programs}:${process.env.PATH}` } });
    return {
      ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr },
      exit: once(child, 'close').then(([code, signal]) => ({ code, signal })),
      close: () => child.kill(),
    };
  },
} as unknown as AgentClient;

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-inputs-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Resolves to the layer's folder. */
async function brought(input: Input, given?: string): Promise<string> {
  const folder = given ?? (await temporaryFolder());
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

describe('the sources of a Debian package', () => {
  /** A folder in which they were downloaded, from an archive that `tar` makes. */
  async function downloaded(name: string, ...tar: string[]): Promise<string> {
    const folder = await temporaryFolder();
    const upstream = path.join(folder, 'upstream');
    await mkdir(path.join(upstream, 'name-1.0/src'), { recursive: true });
    await writeFile(path.join(upstream, 'name-1.0/configure'), '#!/bin/sh\n');
    await chmod(path.join(upstream, 'name-1.0/configure'), 0o755);
    await utimes(path.join(upstream, 'name-1.0/configure'), 1_500_000_000, 1_500_000_000);
    await symlink('../configure', path.join(upstream, 'name-1.0/src/link'));
    const archive = execFileSync('tar', ['-c', ...tar, '-C', upstream, 'name-1.0']);
    const sha256 = createHash('sha256').update(archive).digest('hex');
    const { downloads } = statePaths({ ROSETTA_VM_HOME: folder });
    await mkdir(path.join(downloads, 'sha256'), { recursive: true });
    await writeFile(path.join(downloads, 'sha256', sha256), archive);
    await mkdir(path.join(downloads, 'bench'));
    const record = createHash('sha256').update(`trixie source-${name}`).digest('hex').slice(0, 32);
    const files = [{ name, sha256, bytes: archive.length, urls: ['http://none.invalid/'] }];
    await writeFile(path.join(downloads, 'bench', `${record}.json`), JSON.stringify({ schemaVersion: 1, files }));
    return folder;
  }

  test.each([
    ['in the format of Unix V7, as GNU hello has it', ['--format=v7', '-z']],
    ['in xz', ['-J']],
  ])("are unpacked by the guest's busybox, %s", async (_what, tar) => {
    programs = await temporaryFolder();
    await symlink('/bin/busybox', path.join(programs, 'tar'));
    const folder = path.join(await brought({ source: 'old', to: '/src' }, await downloaded('old', ...tar)), 'src');
    const configure = await stat(path.join(folder, 'configure'));
    expect(configure.mode & 0o777).toBe(0o755);
    expect(configure.mtime.getTime()).toBe(1_500_000_000_000);
    expect(await readFile(path.join(folder, 'src/link'), 'utf8')).toBe('#!/bin/sh\n');
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
