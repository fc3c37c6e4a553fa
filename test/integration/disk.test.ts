/** The data disk on each bus and of each origin. One machine, `disks`, in one order of events, without Docker. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineFolder } from '../../host/machine/record.ts';
import { statePaths } from '../../host/paths.ts';
import { type MachineSpecInput, parseSpec } from '../../host/spec/spec.ts';
import { GIB } from '../../host/spec/units.ts';
import { TEST_CPUS } from './environment.ts';
import { machines, rosettaVm, runInGuest } from './support.ts';

const NAME = 'disks';
const folder = machineFolder(statePaths(), NAME);

let outside = '';
let socket = '';
let url = '';
let server: ChildProcess | undefined;

beforeAll(async () => {
  outside = await mkdtemp(path.join(tmpdir(), 'rvm-disks-'));
  socket = path.join(outside, 'nbd.sock');
  url = `nbd+unix:///data?socket=${socket}`;
  await rosettaVm(['delete', NAME, '--yes']);
});
afterAll(async () => {
  server?.kill('SIGKILL');
  await rosettaVm(['down', NAME, '--force']);
  await rosettaVm(['delete', NAME, '--yes']);
  await rm(outside, { recursive: true, force: true });
});

const up = (disk: MachineSpecInput['disk']) =>
  machines.up(NAME, parseSpec({ memory: '1GiB', cpus: TEST_CPUS, disk, engine: { enabled: false } }));

async function inGuest(script: string): Promise<string> {
  const { stdout, stderr, exit } = await runInGuest(await machines.agent(NAME), ['sh', '-c', script]);
  expect(exit, stderr).toMatchObject({ code: 0 });
  return stdout.trim();
}

/** What is mounted at /data, by the kernel's name. */
const dataDevice = (): Promise<string> => inGuest('awk \'$2 == "/data" { print $1 }\' /proc/mounts');

async function sparseFile(name: string): Promise<string> {
  const file = path.join(outside, name);
  await writeFile(file, '');
  await truncate(file, 2 * GIB);
  return file;
}

async function serve(file: string): Promise<void> {
  await rm(socket, { force: true });
  const args = ['--format=raw', '--persistent', '--export-name=data', `--socket=${socket}`, file];
  server = spawn('qemu-nbd', args, { stdio: 'ignore' });
  const isThere = async (): Promise<boolean> => (await stat(socket).catch(() => null)) !== null;
  await expect.poll(isThere, { timeout: 10_000, interval: 20 }).toBe(true);
}

async function endServer(): Promise<void> {
  const ending = server;
  server = undefined;
  if (ending === undefined) return;
  const ended = once(ending, 'exit');
  ending.kill('SIGKILL');
  await ended;
}

describe.sequential('the data disk', () => {
  test('keeps its content when its bus changes', async () => {
    await up('2GiB');
    expect(await dataDevice()).toMatch(/^\/dev\/nvme0n\d$/);
    await inGuest('echo kept > /data/note');
    await machines.down(NAME);
    await up({ size: '2GiB', bus: 'virtio' });
    expect(await dataDevice()).toBe('/dev/vda');
    expect(await inGuest('cat /data/note')).toBe('kept');
    await machines.down(NAME);
  });

  test('without an NBD server is refused before anything starts, and the machine stays as it was', async () => {
    const before = await readFile(folder.record, 'utf8');
    await expect(up({ attachment: url })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      fix: expect.stringContaining('NBD server'),
    });
    // A socket on which nobody listens, and an export that is not there: QEMU's words become ours.
    await serve(await sparseFile('other.raw'));
    const other = url.replace('///data', '///other');
    await expect(up({ attachment: other })).rejects.toMatchObject({ code: 'E_NETWORK' });
    await endServer();
    await expect(up({ attachment: url })).rejects.toMatchObject({ code: 'E_NETWORK' });
    expect(await readFile(folder.record, 'utf8')).toBe(before);
  });

  test('on an NBD export is formatted when blank, and `status` tells when its server is gone', async () => {
    const file = await sparseFile('data.raw');
    await serve(file);
    const own = await stat(folder.dataDisk);
    const { health } = await up({ attachment: url, bus: 'virtio' });
    expect(health?.dataDisk.state).toBe('ready');
    expect(await dataDevice()).toBe('/dev/vda');
    await inGuest('echo far > /data/note && sync');
    expect((await stat(folder.dataDisk)).mtimeMs).toBe(own.mtimeMs);
    await endServer();
    const state = async () => (await machines.status(NAME)).health?.dataDisk.state;
    await expect.poll(state, { timeout: 60_000, interval: 500 }).toBe('failed');
    await machines.down(NAME, { force: true });
    // The same disk again: it is checked, and what was synced is there.
    await serve(file);
    await up({ attachment: url });
    expect(await inGuest('cat /data/note')).toBe('far');
    await machines.down(NAME);
    expect(await rosettaVm(['delete', NAME])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/lose +data disk .*\n.*keep +external disk +- +nbd\+unix:/),
    });
    await endServer();
  });

  test('that holds something else is not touched: `up` fails and says what it found', async () => {
    const file = await sparseFile('photos.raw');
    expect(spawnSync('mkfs.ext4', ['-q', '-F', '-L', 'photos', file]).status).toBe(0);
    const before = await firstMiB(file);
    await serve(file);
    await expect(up({ attachment: url })).rejects.toMatchObject({
      code: 'E_STATE',
      why: expect.stringContaining('photos'),
    });
    await endServer();
    expect((await firstMiB(file)).equals(before)).toBe(true);
    expect((await machines.status(NAME)).state).toBe('stopped');
  });

  test('on USB is refused, because the kernel has none', async () => {
    await expect(up({ bus: 'usb' })).rejects.toMatchObject({ code: 'E_INVALID' });
  });
});

async function firstMiB(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    return (await handle.read(Buffer.alloc(1024 * 1024), 0, 1024 * 1024, 0)).buffer;
  } finally {
    await handle.close();
  }
}
