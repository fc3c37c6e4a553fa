/**
 * The driver for Macs against a stand-in of its native addon: what it makes of the framework's documented rules. Nothing
 * here shows that Virtualization.framework keeps them; nothing was run on a Mac.
 */
import { fstatSync } from 'node:fs';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Driver, StopReason, VirtualMachine } from '../../../../host/drivers/driver.ts';
import { hostDriver } from '../../../../host/drivers/index.ts';
import { vzDriver } from '../../../../host/drivers/vz/driver.ts';
import { VZ_LIMITS, type VzLimits } from '../../../../host/drivers/vz/limits.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import { statePaths } from '../../../../host/paths.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import { driverContract, untilStopped } from '../../../contract/driver-contract.ts';
import { type StandInOptions, StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { posixFailure, vzFailure } from '../../../stand-in/vz-failures.ts';
import { macReport, ODD_MACS } from '../../../stand-in/vz-reports.ts';
import { PlanFolder } from './plans.ts';

const SHORT: VzLimits = {
  start: 200,
  pause: 200,
  resume: 200,
  requestStop: 200,
  stop: 200,
  connect: 100,
  save: 200,
  restore: 200,
  lastWord: 50,
};
const ECHO_PORT = 1024;
const SILENT_PORT = 4711;

const folder = new PlanFolder();
afterEach(() => folder.remove());

function macDriver(options: StandInOptions = {}): { driver: Driver; addon: StandInVzAddon } {
  const addon = new StandInVzAddon(options);
  addon.world.listens.add(ECHO_PORT);
  onTestFinished(() => addon.remove());
  return { addon, driver: vzDriver({ loadAddon: async () => addon, limits: SHORT }) };
}

/** A machine that runs, on a stand-in of its own. */
async function running(options: StandInOptions = {}) {
  const { driver, addon } = macDriver(options);
  const plan = await folder.plan();
  const machine = await driver.create(plan);
  const states: string[] = [];
  machine.on('state', (state) => states.push(state));
  onTestFinished(() => machine.stop());
  await machine.start();
  return { machine, addon, plan, driver, states };
}

describe.each([13, 14, 15, 27])('on macOS %d', (major) => {
  const addon = new StandInVzAddon({ report: macReport(major) });
  afterAll(() => addon.remove());
  driverContract({
    driver: vzDriver({ loadAddon: async () => addon, limits: { ...VZ_LIMITS, connect: 100 } }),
    makePlan: async () => onMac(await folder.plan(), major),
    processesOf: async () => addon.machines.map(({ configuration }) => configuration.label),
  });
});

function onMac(plan: MachinePlan, major: number): MachinePlan {
  return major >= 14 ? plan : { ...plan, disks: plan.disks.map((disk) => ({ ...disk, bus: 'virtio' })) };
}

describe('streams to the guest', () => {
  test('carry bytes both ways, and the framework’s connection goes when they close', async () => {
    const { machine, addon } = await running();
    const stream = await machine.connect(ECHO_PORT);
    stream.write('hello');
    expect(await new Promise((resolve) => stream.once('data', resolve))).toEqual(Buffer.from('hello'));
    expect(addon.machine.connections).toBe(1);
    stream.destroy();
    await eventually(() => addon.machine.connections === 0);
  });

  test('end with the machine', async () => {
    const { machine } = await running();
    const stream = await machine.connect(ECHO_PORT);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await machine.stop();
    await closed;
  });

  test('a port that refuses is a failure with macOS’s number', async () => {
    const { machine, addon } = await running();
    addon.world.refuses.add(9);
    await expect(machine.connect(9)).rejects.toMatchObject({
      code: 'E_VM_FAILED',
      facts: { port: 9, domain: 'NSPOSIXErrorDomain', name: 'ECONNRESET' },
    });
  });

  test('what is asked when the machine goes fails', async () => {
    const { machine } = await running();
    const refused = expect(machine.connect(SILENT_PORT)).rejects.toMatchObject({ code: 'E_VM_FAILED' });
    await machine.stop();
    await refused;
  });

  test('one that comes too late is closed and given back', async () => {
    const { machine, addon } = await running();
    await expect(machine.connect(SILENT_PORT)).rejects.toMatchObject({
      code: 'E_TIMEOUT',
      facts: { port: SILENT_PORT },
    });
    // The start was request 1.
    const fd = addon.machine.answerLate(2);
    expect(isOpen(fd)).toBe(true);
    await eventually(() => addon.machine.connections === 0);
    expect(isOpen(fd)).toBe(false);
  });
});

describe('a machine that ends by itself', () => {
  test('because its guest powers off', async () => {
    const { machine, addon } = await running();
    const stopped = untilStopped(machine);
    addon.machine.guestStops();
    expect(await stopped).toEqual({ kind: 'guest', message: 'The guest powered off.' });
    expect(machine.state).toBe('stopped');
    expect(addon.machines).toEqual([]);
  });

  test('at once: the start has succeeded, then it has stopped', async () => {
    const { driver, addon } = macDriver();
    addon.world.hangs.add('start');
    const machine = await driver.create(await folder.plan());
    const stopped = untilStopped(machine);
    const starting = machine.start();
    await eventually(() => addon.machines.length === 1 && addon.machine.asked.includes('start'));
    addon.machine.write('{"id":1,"ok":true,"value":null}\n{"event":"stopped","error":null}\n');
    await starting;
    expect(await stopped).toMatchObject({ kind: 'guest' });
  });

  test('before it has started: that is why the start fails', async () => {
    const { driver, addon } = macDriver();
    addon.world.hangs.add('start');
    const machine = await driver.create(await folder.plan());
    const failed = expect(machine.start()).rejects.toMatchObject({
      code: 'E_VM_FAILED',
      why: expect.stringContaining('VZErrorInternal'),
    });
    await eventually(() => addon.machines.length === 1 && addon.machine.asked.includes('start'));
    addon.machine.write(`${JSON.stringify({ event: 'stopped', error: vzFailure(1, 'Internal error.') })}\n`);
    await failed;
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
  });

  test('because it was asked to power off', async () => {
    const { machine } = await running();
    const stopped = untilStopped(machine);
    await machine.requestStop();
    expect(await stopped).toMatchObject({ kind: 'guest' });
  });

  test('after its kernel panicked', async () => {
    const { machine, addon, plan } = await running();
    await writeFile(plan.serialLog, '[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n');
    const stopped = untilStopped(machine);
    addon.machine.guestStops();
    expect(await stopped).toMatchObject({ kind: 'crashed', message: expect.stringMatching(/panicked: VFS: Unable/) });
    expect(machine.state).toBe('error');
  });

  test.each<[string, (addon: StandInVzAddon) => void, RegExp]>([
    ['with an error of the framework', ({ machine }) => machine.crash(), /VZErrorInternal, 1/],
    ['with its channel', ({ machine }) => machine.breakChannel(), /connection to it was lost/],
    ['with a line that cannot be read', ({ machine }) => machine.write('}\n'), /not JSON/],
    ['with a line that does not end', ({ machine }) => overflow(machine), /too long/],
    ['without a word', ({ machine }) => machine.stopSilently(), /did not say why/],
  ])('%s has crashed, once, and can be started again', async (_what, end, message) => {
    const { machine, addon } = await running();
    const reasons: StopReason[] = [];
    machine.on('stopped', (reason) => reasons.push(reason));
    const stopped = untilStopped(machine);
    end(addon);
    expect(await stopped).toMatchObject({ kind: 'crashed', message: expect.stringMatching(message) });
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
    await machine.start();
    expect(machine.state).toBe('running');
    expect(reasons).toHaveLength(1);
  });
});

/** In pieces that a FIFO takes: the reader empties it between them. */
function overflow(machine: StandInVzAddon['machine']): void {
  for (let sent = 0; sent < 68; sent += 1) machine.write('x'.repeat(1024));
}

describe('a framework that does not answer', () => {
  test.each(['pause', 'requestStop'] as const)('%s: the call has its time limit', async (verb) => {
    const { machine, addon } = await running();
    addon.world.hangs.add(verb);
    await expect(machine[verb]()).rejects.toMatchObject({ code: 'E_TIMEOUT', facts: { verb, limitMs: 200 } });
    expect(machine.state).toBe('running');
  });

  test('start: nothing is left of it', async () => {
    const { driver, addon } = macDriver();
    addon.world.hangs.add('start');
    const machine = await driver.create(await folder.plan());
    await expect(machine.start()).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
  });

  test('start: a stop does not wait for it longer than for a stop', async () => {
    const addon = new StandInVzAddon();
    onTestFinished(() => addon.remove());
    addon.world.hangs.add('start');
    const driver = vzDriver({ loadAddon: async () => addon, limits: { ...SHORT, start: 60_000 } });
    const machine = await driver.create(await folder.plan());
    const aborted = expect(machine.start()).rejects.toMatchObject({ code: 'E_ABORTED' });
    await machine.stop();
    await aborted;
    expect(machine.state).toBe('stopped');
    expect(addon.machines).toEqual([]);
  });

  test('stop: the machine is let go of all the same', async () => {
    const { machine, addon } = await running();
    addon.world.hangs.add('stop');
    const stopped = untilStopped(machine);
    await machine.stop();
    expect(await stopped).toMatchObject({ kind: 'requested' });
    expect(addon.machines).toEqual([]);
  });

  test('stop waits for a change that is under way, since the framework would refuse it', async () => {
    const { machine, addon } = await running();
    const inAddon = addon.machine;
    await Promise.all([machine.pause(), machine.stop()]);
    expect(machine.state).toBe('stopped');
    // The power was cut before the machine was let go of.
    expect(inAddon.closedIn).toBe('stopped');
  });
});

describe('states that come by themselves', () => {
  test('a machine that was paused after all is paused', async () => {
    const { machine, addon, states } = await running();
    addon.world.failures.set('pause', vzFailure(1, 'Internal Virtualization error.'));
    await expect(machine.pause()).rejects.toMatchObject({ code: 'E_VM_FAILED', facts: { name: 'VZErrorInternal' } });
    addon.machine.write('{"event":"state","state":"paused"}\n');
    await eventually(() => machine.state === 'paused');
    await machine.stop();
    expect(states.at(-1)).toBe('stopped');
  });

  test('disks tell when their server goes and comes', async () => {
    const url = 'nbd://127.0.0.1/data';
    const { driver, addon } = macDriver();
    const plan = await folder.plan();
    const [disk = expect.fail()] = plan.disks;
    const machine = await driver.create({ ...plan, disks: [{ ...disk, attachment: { kind: 'nbd', url } }] });
    onTestFinished(() => machine.stop());
    const heard: unknown[] = [];
    machine.on('disk', (event) => heard.push(event));
    await machine.start();
    addon.machine.disk(0, vzFailure(20_002, 'Disconnected.'));
    addon.machine.disk(0, null);
    await eventually(() => heard.length === 3);
    expect(heard).toEqual([
      { role: 'data', kind: 'connected', message: url },
      { role: 'data', kind: 'error', message: expect.stringContaining('VZErrorNetworkBlockDeviceDisconnected') },
      { role: 'data', kind: 'connected', message: url },
    ]);
    expect(machine.state).toBe('running');
  });
});

describe('saving and restoring', () => {
  async function paused() {
    const all = await running();
    await all.machine.pause();
    return { ...all, file: path.join(path.dirname(all.plan.serialLog), 'state') };
  }

  test('goes on paused, in a new machine, from a whole file', async () => {
    const { machine, file, driver, plan, addon } = await paused();
    await machine.save(file);
    expect(machine.state).toBe('paused');
    await machine.stop();
    const other = await driver.create(plan);
    onTestFinished(() => other.stop());
    await other.restore(file);
    expect(other.state).toBe('paused');
    await other.resume();
    expect(addon.machine.state).toBe('running');
  });

  test('is refused while the machine runs, and while it is being saved nothing else is taken up', async () => {
    const { machine, addon, file } = await paused();
    addon.world.hangs.add('save');
    const saving = expect(machine.save(file)).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    await eventually(() => addon.machine.asked.includes('save'));
    await expect(machine.resume()).rejects.toMatchObject({ code: 'E_STATE', why: expect.stringContaining('save') });
    await saving;
    await machine.resume();
    await expect(machine.save(file)).rejects.toMatchObject({ code: 'E_STATE', facts: { state: 'running' } });
  });

  test('names the device that cannot be saved', async () => {
    const { machine, addon, file } = await paused();
    addon.world.unsaveable = 'console device';
    await expect(machine.save(file)).rejects.toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      facts: { devices: ['console device'], code: 2 },
    });
    expect(machine.state).toBe('paused');
  });

  test('leaves nothing of a file that could not be finished', async () => {
    const { machine, addon, file, plan } = await paused();
    addon.world.diskFull = true;
    await expect(machine.save(file)).rejects.toMatchObject({ facts: { name: 'VZErrorSave' } });
    expect((await readdir(path.dirname(plan.serialLog))).filter((name) => name.startsWith('state'))).toEqual([]);
  });

  test.each([
    ['of another machine', '{}', 'E_VM_FAILED'],
    ['of another Mac', 'another Mac', 'E_HOST_UNSUPPORTED'],
  ])('a state %s is refused, and the machine can still be started', async (_what, content, code) => {
    const { driver } = macDriver();
    const plan = await folder.plan();
    const file = path.join(path.dirname(plan.serialLog), 'state');
    await writeFile(file, content);
    const machine = await driver.create(plan);
    onTestFinished(() => machine.stop());
    await expect(machine.restore(file)).rejects.toMatchObject({ code, facts: { name: 'VZErrorRestore' } });
    expect(machine.state).toBe('stopped');
    await machine.start();
  });

  test('paths are checked first', async () => {
    const { machine, plan } = await paused();
    await expect(machine.save('state')).rejects.toMatchObject({ code: 'E_USAGE' });
    const nowhere = path.join(path.dirname(plan.serialLog), 'none', 'state');
    await expect(machine.save(nowhere)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await machine.stop();
    await expect(machine.restore(nowhere)).rejects.toMatchObject({ code: 'E_NOT_FOUND', facts: { path: nowhere } });
    expect(machine.state).toBe('stopped');
  });
});

describe('mistakes that a start tells, before the framework is asked', () => {
  async function failure(change: (plan: MachinePlan) => Promise<MachinePlan> | MachinePlan): Promise<unknown> {
    const { driver, addon } = macDriver();
    const machine = await driver.create(await change(await folder.plan()));
    const error = await machine.start().catch((thrown: unknown) => thrown);
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
    return error;
  }
  const diskOf = (plan: MachinePlan): string => {
    const attachment = plan.disks[0]?.attachment;
    return attachment?.kind === 'file' ? attachment.path : expect.fail();
  };
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

  test('a disk that was cut off', async () => {
    const cut = async (plan: MachinePlan) => {
      await truncate(diskOf(plan), 1_000_001);
      return plan;
    };
    expect(await failure(cut)).toMatchObject({ code: 'E_CORRUPT', facts: { role: 'data', size: 1_000_001 } });
  });

  test('a network block device whose socket is missing, or is no socket', async () => {
    const none = (plan: MachinePlan) => withNbd(plan, `nbd+unix:///x?socket=${plan.runtime.directory}/nbd.sock`);
    expect(await failure(none)).toMatchObject({ code: 'E_NOT_FOUND', why: expect.stringContaining('nbd.sock') });
    const file = (plan: MachinePlan) => withNbd(plan, `nbd+unix:///x?socket=${diskOf(plan)}`);
    expect(await failure(file)).toMatchObject({ code: 'E_NOT_FOUND', why: expect.stringContaining('no socket') });
  });

  test('a network block device’s server is not connected to: it may serve only one client', async () => {
    const plan = await folder.plan();
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
    const machine = await driver.create(change(await folder.plan()));
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
    const plan = { ...(await folder.plan()), machineIdentifier: 'not base64!' };
    const machine = await driver.create(plan);
    await expect(machine.start()).rejects.toMatchObject({
      code: 'E_VM_FAILED',
      facts: { subject: 'machineIdentifier', verb: 'configure', name: 'VZErrorInvalidVirtualMachineConfiguration' },
    });
    expect(machine.state).toBe('error');
  });
});

describe('the driver', () => {
  test('a process without the entitlement may explain, and may not create', async () => {
    const { driver } = macDriver({ report: ODD_MACS['node without the entitlement'] });
    const plan = await folder.plan();
    expect((await driver.explain(plan)).length).toBeGreaterThan(3);
    await expect(driver.create(plan)).rejects.toMatchObject({ code: 'E_HOST_UNSUPPORTED' });
  });

  test('gives each new machine an identifier of its own', async () => {
    const { driver } = macDriver();
    const [one, two] = [await driver.newMachineIdentifier?.(), await driver.newMachineIdentifier?.()];
    expect(Buffer.from(one ?? '', 'base64').toString('base64')).toBe(one);
    expect(one).not.toBe(two);
  });

  test('an addon that cannot be loaded is a capability that is missing, not a failed probe', async () => {
    const missing = new RosettaVmError('E_HOST_MISSING', { what: 'No addon.', why: 'Not there.', fix: 'Install it.' });
    const driver = vzDriver({ loadAddon: () => Promise.reject(missing) });
    expect(await driver.probe()).toEqual({
      driver: 'vz',
      usable: false,
      capabilities: [{ id: 'addon', status: 'missing', what: 'No addon.', why: 'Not there.', fix: 'Install it.' }],
    });
    await expect(driver.create(await folder.plan())).rejects.toBe(missing);
  });

  test('is the one for macOS, and on a system that is none its addon is what is missing', async () => {
    const driver = await hostDriver(statePaths({ HOME: '/nowhere' }), 'darwin');
    expect(driver.name).toBe('vz');
    if (process.platform === 'darwin') return;
    expect(await driver.probe()).toMatchObject({ usable: false, capabilities: [{ id: 'addon', status: 'missing' }] });
  });

  test('is none on another system', async () => {
    await expect(hostDriver(statePaths({}, '/nowhere'), 'win32')).rejects.toMatchObject({ code: 'E_HOST_UNSUPPORTED' });
  });

  test('empties the console’s log at a start, and keeps it for its owner', async () => {
    const { driver } = macDriver();
    const plan = await folder.plan();
    await writeFile(plan.serialLog, 'from last time');
    const machine: VirtualMachine = await driver.create(plan);
    onTestFinished(() => machine.stop());
    await machine.start();
    expect(await readFile(plan.serialLog, 'utf8')).toBe('');
    await machine.stop();
    await rm(plan.serialLog);
    await machine.start();
    expect((await stat(plan.serialLog)).mode & 0o777).toBe(0o600);
  });
});

async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await condition())) {
    expect(performance.now()).toBeLessThan(deadline);
    await new Promise(setImmediate);
  }
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
