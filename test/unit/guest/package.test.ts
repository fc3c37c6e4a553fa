/** The package of the guest's C programs: made, installed and used as a host without a compiler would. */
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tar from 'tar';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { parse } from 'yaml';
import { packGuest } from '../../../host/dev/guest-package.mjs';
import { buildGuestPrograms } from '../../../host/dev/guest-programs.mjs';
import { packageFile } from '../../../host/package-root.ts';

/** What a clone has of it. */
const PARTS = ['LICENSE', 'package.json', 'guest/package', 'guest/freestanding', 'guest/router', 'guest/engine'];
const TARBALL = 'guest/build/rosetta-vm-guest-arm64-';

async function clone(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-guest-package-'));
  for (const part of PARTS) await cp(packageFile(part), path.join(folder, part), { recursive: true });
  return folder;
}

/** Packs in a clone; resolves to the tarball's path. */
async function pack(root: string): Promise<string> {
  const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    expect(await packGuest(root)).toBe(0);
    expect(printed.mock.lastCall?.[0]).toContain(TARBALL);
    return path.join(root, String(printed.mock.lastCall?.[0]).trim());
  } finally {
    printed.mockRestore();
  }
}

const sha256 = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

let packing: string;
let tarball: string;
beforeAll(async () => {
  packing = await clone();
  tarball = await pack(packing);
}, 120_000);
afterAll(() => rm(packing, { recursive: true, force: true }));

describe('the tarball', () => {
  it('has the two programs, a digest of each, and what npm needs', async () => {
    const modes: Record<string, string> = {};
    await tar.list({
      file: tarball,
      onReadEntry: ({ path: name, mode = 0 }) => {
        modes[name.replace('package/', '')] = mode.toString(8);
      },
    });
    const plain = Object.fromEntries(
      ['LICENSE', 'README.md', 'manifest.json', 'package.json'].map((one) => [one, '644']),
    );
    expect(modes).toEqual({ ...plain, router: '755', runc: '755' });
  });

  it('is of the version of rosetta-vm, for every platform, and runs nothing at install', async () => {
    const [own, packed] = await Promise.all(
      ['package.json', 'guest/package/package.json'].map(
        async (file): Promise<Record<string, unknown>> => JSON.parse(await readFile(packageFile(file), 'utf8')),
      ),
    );
    expect(packed).toMatchObject({ version: own?.version, license: own?.license, engines: own?.engines });
    for (const key of ['scripts', 'os', 'cpu', 'libc']) expect(packed).not.toHaveProperty(key);
  });

  it('has the same bytes wherever and whenever it is made', { timeout: 120_000 }, async () => {
    const other = await clone();
    onTestFinished(() => rm(other, { recursive: true, force: true }));
    for (const name of await readdir(path.join(other, 'guest/package'))) {
      const file = path.join(other, 'guest/package', name);
      await utimes(file, 1, 1);
      await chmod(file, 0o600);
    }
    expect(await sha256(await pack(other))).toBe(await sha256(tarball));
  });
});

describe('a build where no compiler is', () => {
  let root: string;
  let installed: string;
  beforeEach(async () => {
    root = await clone();
    installed = path.join(root, 'node_modules/@rosetta-vm/guest-arm64');
    await mkdir(path.join(root, 'nothing'));
    vi.stubEnv('PATH', path.join(root, 'nothing'));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(root, { recursive: true, force: true });
  });

  async function install(): Promise<void> {
    await mkdir(installed, { recursive: true });
    await tar.extract({ file: tarball, cwd: installed, strip: 1 });
  }
  const built = (): Promise<string[]> => readdir(path.join(root, 'dist/guest')).catch(() => []);

  it('takes the programs of the package, and asks for no compiler', async () => {
    await install();
    await buildGuestPrograms(root, () => Promise.reject(new Error('a compiler was asked for')));
    expect((await built()).sort()).toEqual(['router', 'runc']);
    for (const name of ['router', 'runc']) {
      const program = path.join(root, 'dist/guest', name);
      expect(await sha256(program)).toBe(await sha256(path.join(installed, name)));
      expect((await stat(program)).mode & 0o777).toBe(0o755);
      // elf(5): e_machine of arm64 is 183.
      expect((await readFile(program)).readUInt16LE(18)).toBe(183);
    }
  });

  it.each(['router', 'runc'])('refuses a changed byte of %s', async (name) => {
    await install();
    const program = path.join(installed, name);
    const bytes = await readFile(program);
    const at = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(program, bytes);
    await expect(buildGuestPrograms(root)).rejects.toThrow(`Its ${name} does not have the digest`);
    expect(await built()).toEqual([]);
  });

  it.each<[string, (folder: string) => Promise<void>, string]>([
    ['a program that is missing', (folder) => rm(path.join(folder, 'runc')), 'Its runc does not have the digest'],
    [
      'a manifest that is cut',
      (folder) => writeFile(path.join(folder, 'manifest.json'), '{'),
      'manifest.json is damaged',
    ],
    [
      'a program larger than any',
      (folder) => writeFile(path.join(folder, 'router'), Buffer.alloc(2 ** 20 + 1)),
      'Its router does not have the digest',
    ],
    [
      'another version',
      async (folder) => {
        const file = path.join(folder, 'package.json');
        await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), version: '0.0.9' }));
      },
      'It is of version 0.0.9, and this is rosetta-vm',
    ],
  ])('refuses %s', async (_what, damage, why) => {
    await install();
    await damage(installed);
    await expect(buildGuestPrograms(root)).rejects.toThrow(why);
  });

  it('refuses programs of other sources than those here', async () => {
    await install();
    await writeFile(path.join(root, 'guest/router/table.h'), '/* changed */\n', { flag: 'a' });
    await expect(buildGuestPrograms(root)).rejects.toThrow('The C sources here are not those that it was made of.');
  });

  it('names both ways when there is no package either, after it has tried to install a compiler', async () => {
    const asked: string[][] = [];
    const built = buildGuestPrograms(root, async (packages) => void asked.push(packages));
    const { version } = JSON.parse(await readFile(packageFile('package.json'), 'utf8'));
    const command = `npm install --no-save @rosetta-vm/guest-arm64@${version}`;
    await expect(built).rejects.toThrow(
      expect.objectContaining({
        name: 'BuildError',
        message: expect.stringMatching(new RegExp(`gcc-aarch64-linux-gnu.*${command.replaceAll('.', '\\.')}`, 's')),
      }),
    );
    expect(asked).toEqual([['gcc-aarch64-linux-gnu']]);
  });

  it('cannot make the package', async () => {
    await expect(packGuest(root)).rejects.toThrow('There is no compiler for arm64 Linux on this host.');
  });
});

describe('the workflow', () => {
  it('pins every action to a commit and gives the right to publish to one job, after the others', async () => {
    const workflow = parse(await readFile(packageFile('.github/workflows/guest.yml'), 'utf8'));
    const jobs = Object.entries<{ steps: { uses?: string }[]; permissions?: object; needs?: string[] }>(workflow.jobs);
    const used = jobs.flatMap(([, job]) => job.steps.flatMap(({ uses }) => uses ?? []));
    expect(used.length).toBeGreaterThan(5);
    for (const action of used) expect(action).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40}$/);
    expect(workflow.permissions).toEqual({ contents: 'read' });
    const [[name, job] = [], ...others] = jobs.filter(([, { permissions }]) => permissions !== undefined);
    expect([name, job?.needs, others]).toEqual(['publish', ['pack', 'without-compiler'], []]);
  });
});
