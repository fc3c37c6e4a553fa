import { spawnSync } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunCommand, runCommand } from '../../../guest/agent/command.ts';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import { DataDisk, namespaceDevice, notSystemDisk } from '../../../guest/data-disk.ts';
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

const bringUp = async (run: RunCommand = withoutMounting): Promise<DataDisk> => {
  const disk = new DataDisk(device, settings, run, quiet);
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

describe.runIf(spawnSync('mkfs.ext4', ['-V']).status === 0)('the data disk', () => {
  it('gets a file system when it is blank, and only then', async () => {
    expect(await (await bringUp()).health()).toMatchObject({ state: 'ready', totalBytes: expect.any(Number) });
    expect(steps).toEqual(['mkfs.ext4', 'mount']);
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
    expect(steps).toEqual([]);
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
    const disk = new DataDisk('/dev/rvm-no-such-disk', settings, withoutMounting, quiet);
    expect(await disk.bringUp()).toBe(false);
    expect(await disk.health()).toMatchObject({ state: 'failed' });
  });

  it('is mounting until it is there', async () => {
    expect(await new DataDisk(device, settings, withoutMounting, quiet).health()).toEqual({ state: 'mounting' });
  });
});
