/** A machine's life: what it is connected to, how it ends, and a framework that keeps silent. Nothing was run on a Mac. */
import { fstatSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { StopReason } from '../../../../host/drivers/driver.ts';
import { vzDriver } from '../../../../host/drivers/vz/driver.ts';
import { untilStopped } from '../../../contract/driver-contract.ts';
import { StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { vzFailure } from '../../../stand-in/vz-failures.ts';
import { ECHO_PORT, eventually, macDriver, running, SHORT, SILENT_PORT, startablePlan } from './machines.ts';

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
    const machine = await driver.create(await startablePlan());
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
    const machine = await driver.create(await startablePlan());
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
    const machine = await driver.create(await startablePlan());
    await expect(machine.start()).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    expect(machine.state).toBe('error');
    expect(addon.machines).toEqual([]);
  });

  test('start: a stop does not wait for it longer than for a stop', async () => {
    const addon = new StandInVzAddon();
    onTestFinished(() => addon.remove());
    addon.world.hangs.add('start');
    const driver = vzDriver({ loadAddon: async () => addon, limits: { ...SHORT, start: 60_000 } });
    const machine = await driver.create(await startablePlan());
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
    const plan = await startablePlan();
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

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
