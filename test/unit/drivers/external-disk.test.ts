import { spawnSync } from 'node:child_process';
import { mkdir, open, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SYSTEM_DISK_SIGNATURE } from '../../../guest/protocol.ts';
import { checkExternalDisk } from '../../../host/drivers/external-disk.ts';
import type { DiskAttachment, DiskPlan } from '../../../host/plan/plan.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const MIB = 1024 * 1024;

const disk = (attachment: DiskAttachment, sizeBytes = MIB): DiskPlan => ({
  ...{ role: 'data', attachment, sizeBytes, bus: 'nvme', readOnly: false, guestDevice: '/dev/nvme0n2' },
});
const block = (file: string, sizeBytes = MIB): DiskPlan => disk({ kind: 'block', path: file }, sizeBytes);

describe('what is no block device', () => {
  test.each([
    ['nothing', async () => {}, 'E_NOT_FOUND'],
    ['a file', (file: string) => writeFile(file, ''), 'E_INVALID'],
    ['a folder', (file: string) => mkdir(file), 'E_INVALID'],
    ['a socket', async (file: string) => void (await listen(file)), 'E_INVALID'],
  ])('%s is refused', async (_what, make, code) => {
    const file = path.join(await temporaryFolder(), 'disk');
    await make(file);
    await expect(checkExternalDisk(block(file))).rejects.toMatchObject({ code, facts: { path: file } });
  });

  test('a character device is refused without being read', async () => {
    await expect(checkExternalDisk(block('/dev/zero'), 'linux')).rejects.toMatchObject({ code: 'E_INVALID' });
  });

  test('but on a Mac, where the raw side of each disk is one, it is read as any disk is', async () => {
    await checkExternalDisk(block('/dev/zero'), 'darwin');
    await expect(checkExternalDisk(block('/dev/null'), 'darwin')).rejects.toMatchObject({ code: 'E_SIZE' });
    // One that gives no bytes at a place says so in its own words.
    await expect(checkExternalDisk(block('/dev/ptmx'), 'darwin')).rejects.toMatchObject({ code: 'E_STATE' });
  });
});

describe('an NBD server on a socket', () => {
  const nbd = (socket: string): DiskPlan => disk({ kind: 'nbd', url: `nbd+unix:///x?socket=${socket}` });

  test('must be there, and is not connected to', async () => {
    const socket = path.join(await temporaryFolder(), 'nbd.sock');
    await expect(checkExternalDisk(nbd(socket))).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      why: expect.stringContaining(socket),
    });
    const connections = await listen(socket);
    await checkExternalDisk(nbd(socket));
    expect(connections()).toBe(0);
  });

  test('is not what a file is', async () => {
    const file = path.join(await temporaryFolder(), 'nbd.sock');
    await writeFile(file, '');
    await expect(checkExternalDisk(nbd(file))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('of another computer is left to the driver', async () => {
    await checkExternalDisk(disk({ kind: 'nbd', url: 'nbd://192.0.2.1/x' }));
  });
});

/** A loop device needs root, and a kernel that has them. */
describe.runIf(spawnSync('losetup', ['--find']).status === 0)('a block device', () => {
  async function loopDevice(bytes = 4 * MIB): Promise<string> {
    const file = path.join(await temporaryFolder(), 'disk.raw');
    await writeFile(file, '');
    await truncate(file, bytes);
    const device = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).stdout.trim();
    onTestFinished(() => void spawnSync('losetup', ['--detach', device]));
    return device;
  }

  test('that is free and large enough will do', async () => {
    const device = await loopDevice();
    await checkExternalDisk(block(device, 4 * MIB));
  });

  test('that is too small is refused', async () => {
    const device = await loopDevice();
    await expect(checkExternalDisk(block(device, 4 * MIB + 512))).rejects.toMatchObject({ code: 'E_SIZE' });
  });

  test('that somebody uses is refused', async () => {
    const device = await loopDevice();
    expect(spawnSync('mkfs.ext4', ['-q', device]).status).toBe(0);
    const point = await temporaryFolder();
    expect(spawnSync('mount', [device, point]).status).toBe(0);
    const check = checkExternalDisk(block(device)).finally(() => spawnSync('umount', [point]));
    await expect(check).rejects.toMatchObject({ code: 'E_STATE', why: expect.stringContaining('mounted') });
  });

  test('that holds a guest’s system is refused', async () => {
    const device = await loopDevice();
    const handle = await open(device, 'r+');
    const sector = Buffer.alloc(512);
    sector.writeUInt32LE(SYSTEM_DISK_SIGNATURE, 440);
    await handle.write(sector, 0, 512, 0);
    await handle.close();
    await expect(checkExternalDisk(block(device))).rejects.toMatchObject({ code: 'E_STATE' });
  });
});

/** Tells how many have connected. */
async function listen(socket: string): Promise<() => number> {
  let connections = 0;
  const server = createServer(() => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
  return () => connections;
}
