/** What is wrong with a machine is told in the user's words, with the framework's number. Nothing was run on a Mac. */
import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { asRosettaVmError, RosettaVmError } from '../../../../host/errors.ts';
import type { DiskPlan, MachinePlan } from '../../../../host/plan/plan.ts';
import { runCommand } from '../../../../host/process/run-command.ts';
import type { StandInOptions, StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { posixFailure, vzFailure } from '../../../stand-in/vz-failures.ts';
import { ODD_MACS } from '../../../stand-in/vz-reports.ts';
import { macDriver, running, startablePlan } from './machines.ts';

describe('mistakes that a start tells, before the framework is asked', () => {
  async function failure(change: (plan: MachinePlan) => Promise<MachinePlan> | MachinePlan): Promise<unknown> {
    const { driver, addon } = macDriver();
    const machine = await driver.create(await change(await startablePlan()));
    const error = await machine.start().catch((thrown: unknown) => thrown);
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
    return error;
  }
  const withNbd = (plan: MachinePlan, url: string): MachinePlan => ({
    ...plan,
    disks: plan.disks.map((disk) => ({ ...disk, attachment: { kind: 'nbd', url } })),
  });

  test('a kernel that is not there, and one that is none', async () => {
    const missing = (plan: MachinePlan) => ({ ...plan, boot: { ...plan.boot, kernel: `${plan.boot.kernel}.gz` } });
    expect(await failure(missing)).toMatchObject({
      code: 'E_NOT_FOUND',
      facts: { path: expect.stringMatching(/gz$/) },
    });
    const compressed = async (plan: MachinePlan) => {
      await writeFile(plan.boot.kernel, Buffer.from([0x1f, 0x8b, ...Buffer.alloc(62)]));
      return plan;
    };
    expect(await failure(compressed)).toMatchObject({ code: 'E_INVALID', what: expect.stringContaining('Image') });
    const short = async (plan: MachinePlan) => {
      await writeFile(plan.boot.kernel, 'MZ');
      return plan;
    };
    expect(await failure(short)).toMatchObject({ code: 'E_INVALID' });
  });

  test.each(['kernel', 'initialRamdisk'])('a folder as the %s', async (name) => {
    const folder = (plan: MachinePlan) => ({ ...plan, boot: { ...plan.boot, [name]: path.dirname(plan.serialLog) } });
    expect(await failure(folder)).toMatchObject({
      code: 'E_INVALID',
      what: expect.stringContaining('is no file'),
      fix: expect.stringContaining('image build'),
      facts: { name: 'VZErrorInvalidVirtualMachineConfiguration' },
    });
  });

  test('a disk that was cut off', async () => {
    const cut = async (plan: MachinePlan) => {
      await truncate(pathOf(plan), 1_000_001);
      return plan;
    };
    expect(await failure(cut)).toMatchObject({ code: 'E_CORRUPT', facts: { role: 'data', size: 1_000_001 } });
  });

  test('a network block device whose socket is missing, or is no socket', async () => {
    const none = (plan: MachinePlan) => withNbd(plan, `nbd+unix:///x?socket=${plan.runtime.directory}/nbd.sock`);
    expect(await failure(none)).toMatchObject({ code: 'E_NOT_FOUND', why: expect.stringContaining('nbd.sock') });
    const file = (plan: MachinePlan) => withNbd(plan, `nbd+unix:///x?socket=${pathOf(plan)}`);
    expect(await failure(file)).toMatchObject({ code: 'E_NOT_FOUND', why: expect.stringContaining('no socket') });
  });

  test('a network block device whose address people write with blanks and accents is none of them', async () => {
    const { driver, addon } = macDriver();
    const machine = await driver.create(withNbd(await startablePlan(), 'nbd://127.0.0.1:1/mes données|[1]'));
    onTestFinished(() => machine.stop());
    await machine.start();
    expect(addon.machine.configuration.disks[0]?.attachment).toMatchObject({
      url: 'nbd://127.0.0.1:1/mes%20donn%C3%A9es%7C%5B1%5D',
    });
  });

  test('a network block device’s server is not connected to: it may serve only one client', async () => {
    const plan = await startablePlan();
    const socket = path.join(path.dirname(plan.serialLog), 'nbd.sock');
    let clients = 0;
    const server = createServer(() => {
      clients += 1;
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    onTestFinished(() => void server.close());
    const { driver } = macDriver();
    const machine = await driver.create(withNbd(plan, `nbd+unix:///x?socket=${socket}`));
    await machine.start();
    await machine.stop();
    expect(clients).toBe(0);
  });
});

describe('what the framework refuses', () => {
  async function startOf(prepare: (addon: StandInVzAddon) => void, change = (plan: MachinePlan) => plan) {
    const { driver, addon } = macDriver();
    prepare(addon);
    const machine = await driver.create(change(await startablePlan()));
    onTestFinished(() => machine.stop());
    return await machine.start().catch((error: unknown) => error);
  }

  test('a machine beyond those that may run at once', async () => {
    const { driver, plan } = await running({ machineLimit: 1 });
    const other = await driver.create({ ...plan, name: 'other' });
    await expect(other.start()).rejects.toMatchObject({
      code: 'E_STATE',
      facts: { machine: 'other', name: 'VZErrorVirtualMachineLimitExceeded', code: 6 },
    });
  });

  test('a network block device whose server does not answer', async () => {
    const url = 'nbd://127.0.0.1:1/data';
    const error = await startOf(
      (addon) => addon.world.unreachable.add(url),
      (plan) => ({ ...plan, disks: plan.disks.map((disk) => ({ ...disk, attachment: { kind: 'nbd', url } })) }),
    );
    expect(error).toMatchObject({ code: 'E_NETWORK', facts: { url } });
  });

  test('a file that went between our look and its own', async () => {
    const error = await startOf((addon) =>
      addon.world.failures.set('start', posixFailure(2, 'No such file or directory', 'disks[0]')),
    );
    expect(error).toMatchObject({ code: 'E_NOT_FOUND', what: expect.stringContaining('data.raw') });
  });

  test('what it throws when the machine is made', async () => {
    const { driver } = macDriver();
    const plan = { ...(await startablePlan()), machineIdentifier: 'not base64!' };
    const machine = await driver.create(plan);
    await expect(machine.start()).rejects.toMatchObject({
      code: 'E_CORRUPT',
      facts: { subject: 'machineIdentifier', verb: 'configure', domain: 'RosettaVm', name: 'invalid' },
    });
    expect(machine.state).toBe('error');
  });
});

describe('whoever refuses it first, `--json` has three parts and the VZError’s name and number for', () => {
  const withDisk = (plan: MachinePlan, change: Partial<DiskPlan>): MachinePlan => ({
    ...plan,
    disks: plan.disks.map((disk) => ({ ...disk, ...change })),
  });
  const nbd = (url: string) => (plan: MachinePlan) => withDisk(plan, { attachment: { kind: 'nbd', url } });
  const NOBODY = 'nbd://127.0.0.1:1/data';
  const INVALID = ['VZErrorInvalidVirtualMachineConfiguration', 2] as const;
  const DISK_IMAGE = ['VZErrorInvalidDiskImage', 5] as const;

  interface Case {
    readonly change?: (plan: MachinePlan) => MachinePlan | Promise<MachinePlan>;
    readonly mac?: StandInOptions;
    readonly prepare?: (addon: StandInVzAddon) => void;
  }

  /** As `up --json` prints it, after its way over the control socket. */
  async function printed({ change = (plan) => plan, mac = {}, prepare = () => {} }: Case) {
    const { driver, addon } = macDriver(mac);
    prepare(addon);
    const plan = await change(await startablePlan());
    const starting = async (): Promise<never> => {
      const machine = await driver.create(plan);
      onTestFinished(() => machine.stop());
      await machine.start();
      throw new Error('It started.');
    };
    const sent = JSON.stringify(await starting().catch(asRosettaVmError));
    return JSON.parse(JSON.stringify(RosettaVmError.fromJSON(JSON.parse(sent)))) as Record<string, unknown>;
  }

  test.each<[string, Case, string, readonly [name: string, number: number]]>([
    [
      'a missing kernel',
      { change: (plan) => ({ ...plan, boot: { ...plan.boot, kernel: '/nowhere/vmlinuz' } }) },
      'E_NOT_FOUND',
      INVALID,
    ],
    [
      'a kernel that is none',
      {
        change: async (plan) => {
          await writeFile(plan.boot.kernel, 'MZ');
          return plan;
        },
      },
      'E_INVALID',
      INVALID,
    ],
    [
      'a disk of part of a sector',
      { change: (plan) => withDisk(plan, { sizeBytes: 1_000_001 }) },
      'E_SIZE',
      DISK_IMAGE,
    ],
    [
      'a disk that was cut off',
      {
        change: async (plan) => {
          await truncate(pathOf(plan), 1_000_001);
          return plan;
        },
      },
      'E_CORRUPT',
      DISK_IMAGE,
    ],
    ['an NBD address without a host', { change: nbd('nbd:///data') }, 'E_INVALID', INVALID],
    ['an NBD address that is none', { change: nbd('not a url') }, 'E_INVALID', INVALID],
    ['an NBD socket that is not there', { change: nbd('nbd+unix:///x?socket=/nowhere') }, 'E_NOT_FOUND', INVALID],
    [
      'an NBD server that is not there',
      { change: nbd(NOBODY), prepare: ({ world }) => world.unreachable.add(NOBODY) },
      'E_NETWORK',
      INVALID,
    ],
    [
      'an NBD server that speaks otherwise',
      { change: nbd(NOBODY), prepare: ({ world }) => world.failures.set('start', vzFailure(20_001, 'No.')) },
      'E_NETWORK',
      ['VZErrorNetworkBlockDeviceNegotiationFailed', 20_001],
    ],
    [
      'a tag that is too long',
      {
        change: (plan) => ({ ...plan, shares: plan.shares.map((share) => ({ ...share, tag: 'x'.repeat(36) })) }),
      },
      'E_INVALID',
      INVALID,
    ],
    ['too much memory', { change: (plan) => ({ ...plan, memoryMiB: 33 * 1024 }) }, 'E_SIZE', INVALID],
    ['too little memory', { change: (plan) => ({ ...plan, memoryMiB: 1 }) }, 'E_SIZE', INVALID],
    ['too many CPUs', { change: (plan) => ({ ...plan, cpus: 11 }) }, 'E_SIZE', INVALID],
    ['no entitlement', { mac: { report: ODD_MACS['node without the entitlement'] } }, 'E_HOST_UNSUPPORTED', INVALID],
    [
      'no Rosetta',
      {
        mac: { report: ODD_MACS['Rosetta not installed'] },
        change: (plan) => ({ ...plan, translator: { name: 'rosetta', tag: 'rvm-rosetta' } }),
      },
      'E_HOST_MISSING',
      INVALID,
    ],
    ['more machines than may run', { mac: { machineLimit: 0 } }, 'E_STATE', ['VZErrorVirtualMachineLimitExceeded', 6]],
  ])('%s', async (_what, given, code, [name, number]) => {
    expect(await printed(given)).toEqual(printedAs(code, name, number));
  });

  test('a disk that cannot be written', async (context) => {
    const plan = await startablePlan();
    // Root may write to whatever is not on a read-only file system, which it needs the right to mount.
    const folder = path.join(path.dirname(plan.serialLog), 'disk');
    const disk = path.join(folder, 'data.raw');
    await mkdir(folder);
    if (process.getuid?.() === 0) {
      if ((await runCommand(['mount', '-t', 'tmpfs', 'disk', folder], COMMAND)).exitCode !== 0) return context.skip();
      onTestFinished(async () => void (await runCommand(['umount', folder], COMMAND)));
    }
    await writeFile(disk, '');
    await truncate(disk, plan.disks[0]?.sizeBytes ?? 0);
    await chmod(disk, 0o400);
    if (process.getuid?.() === 0) await runCommand(['mount', '-o', 'remount,ro', folder], COMMAND);
    const error = await printed({ change: () => withDisk(plan, { attachment: { kind: 'file', path: disk } }) });
    expect(error).toEqual(printedAs('E_STATE', ...INVALID));
    expect(error.what).toContain(disk);
  });
});

const COMMAND = { env: process.env, limitMs: 10_000 };

const printedAs = (code: string, name: string, number: number): object => ({
  code,
  what: expect.stringMatching(/./),
  why: expect.stringMatching(/./),
  fix: expect.stringMatching(/./),
  facts: expect.objectContaining({ domain: 'VZErrorDomain', name, code: number }),
});

function pathOf({ disks: [disk] }: MachinePlan): string {
  return disk?.attachment.kind === 'file' ? disk.attachment.path : expect.fail();
}
