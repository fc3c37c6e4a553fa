/** The system disk's making, and what can go wrong in it. Each test has a copy of the shared image in a home of its own. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../host/package-root.ts';
import { statePaths } from '../../host/paths.ts';
import { findImage } from '../../images/index.ts';
import { rosettaVm } from './support.ts';

/** `rosetta-vm up` with an image that has no system disk yet; resolves to the home and the image's folder. */
async function homeWithImage(home: string): Promise<{ env: NodeJS.ProcessEnv; image: string }> {
  const shared = await findImage(statePaths(), 'default');
  const image = path.join(home, 'images', shared.id);
  await mkdir(path.join(home, 'images', 'by-name'), { recursive: true });
  await cp(shared.directory, image, {
    recursive: true,
    filter: (file) => !/\/(system\.raw|setup(\.lock)?)$/.test(file),
  });
  await symlink(`../${shared.id}`, path.join(home, 'images', 'by-name', 'default'));
  await symlink(statePaths().tools, path.join(home, 'tools'));
  return { env: { ROSETTA_VM_HOME: home }, image };
}

async function temporaryHome(): Promise<string> {
  const home = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return home;
}

const SETUP = 'Setting up the system disk';
const leftovers = async (image: string) =>
  (await readdir(image)).filter((name) => name === 'setup' || name === 'system.raw');

test('an image with one wrong byte is refused, by its digest, and leaves no disk and no machine', async () => {
  const home = await temporaryHome();
  const { env, image } = await homeWithImage(home);
  const archive = await open(path.join(image, 'root.tar'), 'r+');
  await archive.write('x', 1_000_000);
  await archive.close();
  const { status, stderr } = await rosettaVm(['up', 'broken'], env);
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/root\.tar is not as it was built/) });
  expect(await leftovers(image)).toEqual([]);
  expect((await rosettaVm(['list', '--json'], env)).stdout.trim()).toBe('[]');
});

test('an image whose archive was cut is refused before anything starts', async () => {
  const home = await temporaryHome();
  const { env, image } = await homeWithImage(home);
  await truncate(path.join(image, 'root.tar'), 1000);
  const { status, stderr } = await rosettaVm(['up', 'broken'], env);
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('image build') });
  expect(stderr).not.toContain(SETUP);
});

test('an image of another version of rosetta-vm is built anew; without a network it is used, and `up` says so', async () => {
  const home = await temporaryHome();
  const { env, image } = await homeWithImage(home);
  const manifest = path.join(image, 'manifest.json');
  const text = await readFile(manifest, 'utf8');
  await writeFile(
    manifest,
    text.replace(/"recipe": ?"[0-9a-f]{8}/, (start) => `${start.slice(0, -8)}00000000`),
  );
  // Refused once it has been chosen: nothing has to boot.
  const archive = await open(path.join(image, 'root.tar'), 'r+');
  await archive.write('x', 1_000_000);
  await archive.close();
  const { stderr } = await rosettaVm(['up', 'old', '--mirror', 'http://127.0.0.1:1/debian'], env);
  expect(stderr).toContain('Building the guest image');
  expect(stderr).toMatch(
    /The guest image is another version's, and a new one needs the network: .*could not be downloaded/,
  );
  expect(stderr).toContain('root.tar is not as it was built');
});

test('Ctrl-C while the system disk is made leaves no process and no disk', async () => {
  const home = await temporaryHome();
  const { env, image } = await homeWithImage(home);
  const up = spawn(process.execPath, [packageFile('dist/rosetta-vm.js'), 'up', 'cut'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  const exited = once(up, 'exit');
  let text = '';
  up.stderr.on('data', (chunk) => {
    text += chunk;
  });
  await expect.poll(() => text, { timeout: 60_000, interval: 20 }).toContain(SETUP);
  await expect.poll(() => leftovers(image), { timeout: 30_000 }).toEqual(['setup']);
  up.kill('SIGINT');
  expect(await exited).toEqual([130, null]);
  expect(await leftovers(image)).toEqual([]);
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args=', '-ww']);
  expect(stdout).not.toContain(`${home}/`);
});

test('a host whose disk is full while the guest writes says so, and leaves nothing', async () => {
  const home = await temporaryHome();
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=560m', 'tmpfs', home]);
  onTestFinished(async () => {
    await promisify(execFile)('umount', ['-l', home]);
  });
  const { env, image } = await homeWithImage(home);
  const { status, stderr } = await rosettaVm(['up', 'full'], env);
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('The disk is full') });
  expect(await leftovers(image)).toEqual([]);
});
