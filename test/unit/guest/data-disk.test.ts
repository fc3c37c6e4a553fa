import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunCommand, runCommand } from '../../../guest/agent/command.ts';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import { DataDisk } from '../../../guest/data-disk.ts';
import { findDataDisk, namespaceDevice, notSystemDisk } from '../../../guest/disk-device.ts';
import { SYSTEM_DISK_SIGNATURE } from '../../../guest/protocol.ts';
import { temporarySettings } from './agent-harness.ts';

const quiet: PartLog = { info: () => {}, warn: () => {}, error: () => {} };
const SIZE = 8 * 1024 * 1024;

let directory: string;
let settings: GuestSettings;
let device: string;
let steps: string[];

beforeEach(async () => {
  ({ directory, settings } = await temporarySettings());
  device = path.join(directory, 'disk');
  await writeFile(device, '');
  await truncate(device, SIZE);
  steps = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A file stands for the device: its file system is really made and checked, only mounting is left out. */
const withoutMounting: RunCommand = (argv, limit) => {
  steps.push(argv[0]);
  const skipped = argv[0] === 'mount' || argv[0] === 'resize2fs';
  return skipped ? Promise.resolve({ code: 0, stdout: '', stderr: '' }) : runCommand(argv, limit);
};

const bringUp = async (run: RunCommand = withoutMounting, leastBytes?: number): Promise<DataDisk> => {
  const external = leastBytes === undefined ? {} : { externalData: { leastBytes } };
  const disk = new DataDisk({ dataDevice: device, ...external }, settings, run, quiet);
  await disk.bringUp();
  return disk;
};

describe('the name of an NVMe namespace', () => {
  const named = async (nsid: Readonly<Record<string, string>>): Promise<string> => {
    for (const [name, id] of Object.entries(nsid)) {
      await mkdir(path.join(settings.blockDirectory, name), { recursive: true });
      if (id !== '') await writeFile(path.join(settings.blockDirectory, name, 'nsid'), `${id}\n`);
    }
    return await namespaceDevice('/dev/nvme0n2', settings.blockDirectory);
  };

  it('is the one whose id it is, whichever was found first', async () => {
    expect(await named({ nvme0n1: '2', nvme0n2: '1', nvme0n2p1: '' })).toBe('/dev/nvme0n1');
  });

  it('of another controller does not count, and a namespace that is missing is said to be', async () => {
    await expect(named({ nvme0n1: '1', nvme1n1: '2' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('is left alone where the device is no NVMe namespace', async () => {
    expect(await namespaceDevice('/dev/vdb', settings.blockDirectory)).toBe('/dev/vdb');
  });
});

describe('the data disk beside the system disk', () => {
  const disks = async (contents: Readonly<Record<string, 'system' | 'blank' | 'partition'>>): Promise<void> => {
    for (const [name, content] of Object.entries(contents)) {
      await mkdir(path.join(settings.blockDirectory, name), { recursive: true });
      const table = Buffer.alloc(512);
      if (content === 'system') table.writeUInt32LE(SYSTEM_DISK_SIGNATURE, 440);
      await writeFile(path.join(directory, name), content === 'partition' ? '' : table);
    }
  };
  const chosen = async (name: string): Promise<string> =>
    path.basename(await notSystemDisk(path.join(directory, name), settings.blockDirectory));

  it('is the one that was named, when that is not the system’s', async () => {
    await disks({ nvme0n1: 'system', nvme1n1: 'blank' });
    expect(await chosen('nvme1n1')).toBe('nvme1n1');
  });

  it.each([
    [{ nvme0n1: 'blank', nvme0n1p1: 'partition', nvme1n1: 'system', vda: 'blank' } as const, 'nvme1n1', 'nvme0n1'],
    [{ vda: 'blank', vdb: 'system', vdb1: 'partition', nvme0n1: 'blank' } as const, 'vdb', 'vda'],
  ])('is the other of its kind, when names are the other way round', async (contents, named, other) => {
    await disks(contents);
    expect(await chosen(named)).toBe(other);
  });

  it('is missing, and the system disk is left alone, when there is no other', async () => {
    await disks({ vda: 'system' });
    await expect(chosen('vda')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

describe('a disk that is not there yet', () => {
  it('is waited for, after the module that virtio disks need', async () => {
    const named = path.join(directory, 'vda');
    const run: RunCommand = (argv) => {
      steps.push(argv.join(' '));
      setTimeout(() => void writeFile(named, Buffer.alloc(512)), 100);
      return Promise.resolve({ code: 0, stdout: '', stderr: '' });
    };
    expect(await findDataDisk(named, settings, run)).toBe(named);
    expect(steps).toEqual(['modprobe virtio_blk']);
  });

  it('is not waited for where the name is none of a bus', async () => {
    const looking = findDataDisk(path.join(directory, 'other'), settings, withoutMounting);
    await expect(looking).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(steps).toEqual([]);
  });
});

describe.runIf(spawnSync('mkfs.ext4', ['-V']).status === 0)('the data disk', () => {
  it('gets a file system when it is blank, and only then', async () => {
    expect(await (await bringUp()).health()).toMatchObject({ state: 'ready', totalBytes: expect.any(Number) });
    expect(steps).toEqual(['blkid', 'mkfs.ext4', 'mount']);
    steps = [];
    await bringUp();
    expect(steps).toEqual(['e2fsck', 'mount', 'resize2fs']);
  });

  it('is repaired where that is safe', async () => {
    await bringUp();
    // As a power cut leaves it: not marked clean.
    spawnSync('debugfs', ['-w', '-R', 'set_super_value state 0', device]);
    expect(await (await bringUp()).health()).toMatchObject({ state: 'ready' });
  });

  it('is left alone when it holds something else', async () => {
    await writeFile(device, 'somebody’s data', { flag: 'r+' });
    const disk = await bringUp();
    expect(await disk.health()).toEqual({ state: 'failed', reason: expect.stringContaining('not ours') });
    expect(steps).toEqual(['blkid']);
  });

  it.each([
    [
      'a byte at its end, as a backup of a partition table is',
      ['dd', 'if=/dev/urandom', 'bs=1', 'count=1', `seek=${SIZE - 1}`],
    ],
    ['a swap area, whose mark is behind the first pages', ['mkswap']],
    ['an ext4 of somebody else', ['mkfs.ext4', '-q', '-F', '-L', 'photos']],
  ])('is left as it is when it holds %s', async (_what, [program = '', ...args]) => {
    const target = program === 'dd' ? ['conv=notrunc', `of=${device}`] : [device];
    expect(spawnSync(program, [...args, ...target]).status).toBe(0);
    const before = await readFile(device);
    const disk = await bringUp(undefined, 0);
    expect(await disk.health()).toEqual({ state: 'failed', reason: expect.stringContaining('not ours') });
    expect(steps).toEqual(['blkid']);
    expect((await readFile(device)).equals(before)).toBe(true);
  });

  it('that is the user’s own is formatted with a journal that is really empty, when it is large enough', async () => {
    const arguments_: string[][] = [];
    const listening: RunCommand = (argv, limit) => {
      arguments_.push([...argv]);
      return withoutMounting(argv, limit);
    };
    const small = await bringUp(listening, SIZE + 1);
    expect(await small.health()).toEqual({ state: 'failed', reason: expect.stringContaining('too small') });
    expect(steps).toEqual([]);
    expect(await (await bringUp(listening, SIZE)).health()).toMatchObject({ state: 'ready' });
    expect(arguments_.find(([program]) => program === 'mkfs.ext4')?.join(' ')).toContain('lazy_journal_init=0');
  });

  it('that met errors, or cannot be read any more, says so', async () => {
    const own = await bringUp(undefined, 0);
    const counter = path.join(settings.ext4Directory, path.basename(device));
    await mkdir(counter, { recursive: true });
    await writeFile(path.join(counter, 'errors_count'), '2\n');
    expect(await own.health()).toEqual({ state: 'failed', reason: expect.stringContaining('2 errors') });
    await writeFile(path.join(counter, 'errors_count'), '0\n');
    expect(await own.health()).toMatchObject({ state: 'ready' });
    await rm(device);
    expect(await own.health()).toEqual({ state: 'failed', reason: expect.stringContaining('cannot be read') });
  });

  it('is not mounted when the check fails', async () => {
    await bringUp();
    const failing: RunCommand = (argv, limit) =>
      argv[0] === 'e2fsck'
        ? Promise.resolve({ code: 4, stdout: 'UNEXPECTED', stderr: '' })
        : withoutMounting(argv, limit);
    steps = [];
    const disk = await bringUp(failing);
    expect(await disk.health()).toEqual({ state: 'failed', reason: expect.stringContaining('e2fsck') });
    expect(steps).toEqual([]);
  });

  it('that does not exist is a state, not an end', async () => {
    const disk = new DataDisk({ dataDevice: '/dev/rvm-no-such-disk' }, settings, withoutMounting, quiet);
    expect(await disk.bringUp()).toBe(false);
    expect(await disk.health()).toMatchObject({ state: 'failed' });
  });

  it('is mounting until it is there', async () => {
    expect(await new DataDisk({ dataDevice: device }, settings, withoutMounting, quiet).health()).toEqual({
      state: 'mounting',
    });
  });
});
