import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { StopReason, VirtualMachine } from '../../host/drivers/driver.ts';
import { tryAccelerator } from '../../host/drivers/qemu/probe.ts';
import type { MachinePlan } from '../../host/plan/plan.ts';
import { findProgram } from '../../host/process/programs.ts';
import { bundleScript } from '../bundle-script.ts';
import { driverContract, untilStopped } from '../contract/driver-contract.ts';
import { driver, makeGuestPlan, processesOf, removeGuests } from './driver-guest.ts';

afterAll(removeGuests);

driverContract({
  driver,
  makePlan: makeGuestPlan,
  processesOf: async (plan) => (await processesOf(plan)).map(({ commandLine }) => commandLine),
});

let machine: VirtualMachine | undefined;

afterEach(async () => {
  await machine?.stop();
  machine = undefined;
});

async function start(plan: MachinePlan): Promise<VirtualMachine> {
  machine = await driver.create(plan);
  await machine.start();
  return machine;
}

/** Kills the machine's processes whose command line contains a word. */
async function kill(plan: MachinePlan, word: string): Promise<void> {
  for (const { pid, commandLine } of await processesOf(plan))
    if (commandLine.includes(word)) process.kill(pid, 'SIGKILL');
}

/** Becomes true within some seconds, or the test fails. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    expect(performance.now()).toBeLessThan(deadline);
    await sleep(20);
  }
}

describe('the end of a machine that nobody asked for', () => {
  test.each(['qemu-system-aarch64', 'virtiofsd', 'vhost-device-vsock'])(
    'a killed %s stops it and leaves nothing',
    async (program) => {
      const plan = await makeGuestPlan();
      const running = await start(plan);
      const stopped = untilStopped(running);
      await kill(plan, program);
      expect(await stopped).toMatchObject({ kind: 'killed', message: expect.stringContaining('SIGKILL') });
      expect(running.state).toBe('error');
      expect(await processesOf(plan)).toEqual([]);
      await running.start();
      expect(running.state).toBe('running');
    },
  );

  test('a panic of the guest’s kernel is a crash, told in the kernel’s words', async () => {
    const running = await start(await makeGuestPlan(1));
    const reason: StopReason = await untilStopped(running);
    expect(reason.kind).toBe('crashed');
    expect(reason.message).toMatch(/panicked: VFS: Unable to mount root fs/);
  });

  test('a killed owner takes QEMU and every helper with it', async () => {
    const plan = await makeGuestPlan();
    const script = path.join(path.dirname(plan.serialLog), 'owner.mjs');
    await bundleScript('test/integration/driver-owner.ts', script);
    const owner = spawn(process.execPath, [script, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(owner.stdout, 'data');
    // setpriv's exec leaves one process each; the C virtiofsd forks its sandbox once more.
    expect((await processesOf(plan)).length).toBeGreaterThanOrEqual(3);
    owner.kill('SIGKILL');
    await eventually(async () => (await processesOf(plan)).length === 0);
  });
});

describe('mistakes that a start tells', () => {
  async function failure(plan: MachinePlan): Promise<unknown> {
    machine = await driver.create(plan);
    const error = await machine.start().catch((thrown: unknown) => thrown);
    expect(machine.state).toBe('error');
    expect(await processesOf(plan)).toEqual([]);
    return error;
  }

  test('a kernel that is not there', async () => {
    const plan = await makeGuestPlan();
    const kernel = path.join(plan.runtime.directory, 'vmlinuz');
    expect(await failure({ ...plan, boot: { ...plan.boot, kernel } })).toMatchObject({
      code: 'E_NOT_FOUND',
      facts: { path: kernel },
    });
  });

  test('a folder in place of a kernel', async () => {
    const plan = await makeGuestPlan();
    const kernel = path.join(path.dirname(plan.serialLog), 'share');
    expect(await failure({ ...plan, boot: { ...plan.boot, kernel } })).toMatchObject({
      code: 'E_INVALID',
      what: expect.stringContaining('The kernel is no file'),
      facts: { path: kernel },
    });
  });

  test('what QEMU itself refuses, in its words: an initrd larger than the memory', async () => {
    const plan = await makeGuestPlan();
    const initialRamdisk = path.join(path.dirname(plan.serialLog), 'huge.img');
    await writeFile(initialRamdisk, '');
    await truncate(initialRamdisk, 64 * 1024 ** 3);
    expect(await failure({ ...plan, boot: { ...plan.boot, initialRamdisk } })).toMatchObject({
      code: 'E_VM_FAILED',
      why: expect.stringContaining('could not load initrd'),
    });
  });

  test('a disk that was cut off', async () => {
    const plan = await makeGuestPlan();
    await truncate(path.join(path.dirname(plan.serialLog), 'data.raw'), 1_000_001);
    expect(await failure(plan)).toMatchObject({ code: 'E_CORRUPT', facts: { role: 'data', size: 1_000_001 } });
  });

  test('a disk that another machine has open', async () => {
    const plan = await makeGuestPlan();
    const other = await driver.create({
      ...plan,
      runtime: { ...plan.runtime, directory: `${plan.runtime.directory}2` },
    });
    await other.start();
    try {
      expect(await failure(plan)).toMatchObject({ code: 'E_LOCKED' });
    } finally {
      await other.stop();
    }
  });

  test('a socket on which somebody listens; a stale one is replaced', async () => {
    const plan = await makeGuestPlan();
    await mkdir(plan.runtime.directory);
    const socket = path.join(plan.runtime.directory, 'qmp.sock');
    const listener: Server = createServer().listen(socket);
    await once(listener, 'listening');
    expect(await failure(plan)).toMatchObject({ code: 'E_ADDRESS_IN_USE', facts: { path: socket } });
    listener.close();
    await once(listener, 'close');

    const stale = spawn(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(socket)})`]);
    await eventually(async () => (await stat(socket).catch(() => null)) !== null);
    stale.kill('SIGKILL');
    await once(stale, 'exit');
    await machine?.start();
    expect(machine?.state).toBe('running');
  });

  test('a share that is a file, and one that is gone', async () => {
    const plan = await makeGuestPlan();
    const share = path.join(path.dirname(plan.serialLog), 'share');
    await rm(share, { recursive: true });
    expect(await failure(plan)).toMatchObject({ code: 'E_NOT_FOUND', facts: { path: share } });
    await writeFile(share, '', { mode: 0o755 });
    expect(await failure(plan)).toMatchObject({ code: 'E_INVALID', facts: { path: share } });
  });
});

describe('what a start leaves to read', () => {
  test('the guest’s console and each process’s output are beside the disks, for their owner only', async () => {
    const plan = await makeGuestPlan();
    await start(plan);
    await eventually(async () => (await readFile(plan.serialLog, 'utf8')).includes('Kernel panic'));
    for (const name of ['qemu.log', 'vsock.log', 'virtiofs-0.log']) {
      const { mode } = await stat(path.join(path.dirname(plan.serialLog), name));
      expect(mode & 0o777).toBe(0o600);
    }
    expect((await stat(plan.runtime.directory)).mode & 0o777).toBe(0o700);
  });
});

describe('the trial guest', () => {
  test('powers itself off at once under an accelerator that works', async () => {
    const qemu = (await findProgram('qemu-system-aarch64', process.env)) ?? '';
    expect(await tryAccelerator(qemu, 'tcg')).toBeNull();
  });

  test('reports an accelerator that this host does not have', async () => {
    const qemu = (await findProgram('qemu-system-aarch64', process.env)) ?? '';
    if (process.arch === 'arm64') return;
    expect(await tryAccelerator(qemu, 'kvm')).toMatch(/^A trial guest failed: .*kvm/i);
  });
});
