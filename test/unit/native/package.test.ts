import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildNative, packNative, whyNot } from '../../../host/dev/native.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

async function json(relative: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path.join(ROOT, relative), 'utf8'));
}

describe('the platform package', () => {
  it('is of the same version as rosetta-vm, for arm64 Macs only, and runs nothing at install', async () => {
    const [root, platform] = await Promise.all([json('package.json'), json('native/package/package.json')]);
    expect(platform).toMatchObject({
      name: '@rosetta-vm/darwin-arm64',
      version: root.version,
      license: root.license,
      engines: root.engines,
      os: ['darwin'],
      cpu: ['arm64'],
      files: ['vz.node'],
      main: 'vz.node',
      preferUnplugged: true,
    });
    expect(platform).not.toHaveProperty('scripts');
  });

  it('leaves npm no reason to compile at install: no binding.gyp at the root, no install script', async () => {
    expect(await readdir(ROOT)).not.toContain('binding.gyp');
    const { scripts } = await json('package.json');
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) expect(scripts).not.toHaveProperty(name);
  });
});

describe('packing', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-pack-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('lays out the addon, its licence and the package’s own files, and forgets an earlier layout', async () => {
    for (const name of ['native/package', 'native/build/Release', 'native/build/package']) {
      await mkdir(path.join(folder, name), { recursive: true });
    }
    await writeFile(path.join(folder, 'LICENSE'), 'licence');
    await writeFile(path.join(folder, 'native/package/package.json'), '{}');
    await writeFile(path.join(folder, 'native/build/Release/vz.node'), 'addon', { mode: 0o600 });
    await writeFile(path.join(folder, 'native/build/package/old'), '');
    expect(await packNative(folder)).toBe(0);
    const made = path.join(folder, 'native/build/package');
    expect((await readdir(made)).sort()).toEqual(['LICENSE', 'package.json', 'vz.node']);
    expect((await stat(path.join(made, 'vz.node'))).mode & 0o777).toBe(0o755);
  });
});

describe('building', () => {
  it('is for arm64 Node on macOS, and says so elsewhere', async () => {
    expect(whyNot('darwin', 'arm64')).toBeNull();
    expect(whyNot('darwin', 'x64')).toContain('arm64');
    expect(whyNot('linux', 'arm64')).toContain('macOS');
    if (process.platform === 'darwin') return;
    expect(await buildNative(() => Promise.reject(new Error('node-gyp was started')), [])).toBe(1);
  });
});

describe('the workflow', () => {
  it('pins every action to a commit and gives the right to publish to one job alone', async () => {
    const workflow = parse(await readFile(path.join(ROOT, '.github/workflows/native.yml'), 'utf8'));
    const jobs = Object.entries<{ steps: { uses?: string }[]; permissions?: object }>(workflow.jobs);
    const used = jobs.flatMap(([, job]) => job.steps.flatMap(({ uses }) => uses ?? []));
    expect(used.length).toBeGreaterThan(5);
    for (const action of used) expect(action).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40}$/);
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(jobs.filter(([, job]) => job.permissions !== undefined).map(([name]) => name)).toEqual(['publish']);
  });
});
