/**
 * The driver for Macs against a stand-in of its native addon: what it makes of the framework's documented rules. Nothing
 * here shows that Virtualization.framework keeps them; nothing was run on a Mac.
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { VirtualMachine } from '../../../../host/drivers/driver.ts';
import { hostDriver } from '../../../../host/drivers/index.ts';
import { vzDriver } from '../../../../host/drivers/vz/driver.ts';
import { VZ_LIMITS } from '../../../../host/drivers/vz/limits.ts';
import { realSurroundings } from '../../../../host/drivers/vz/signed-host/program.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import { statePaths } from '../../../../host/paths.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import { driverContract } from '../../../contract/driver-contract.ts';
import { StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { macReport, ODD_MACS } from '../../../stand-in/vz-reports.ts';
import { macDriver, startablePlan } from './machines.ts';

describe.each([13, 14, 15, 26, 27])('on macOS %d', (major) => {
  const addon = new StandInVzAddon({ report: macReport(major) });
  afterAll(() => addon.remove());
  driverContract({
    driver: vzDriver({ loadAddon: async () => addon, limits: { ...VZ_LIMITS, connect: 100 } }),
    makePlan: async () => onMac(await startablePlan(), major),
    processesOf: async () => addon.machines.map(({ configuration }) => configuration.label),
  });
});

function onMac(plan: MachinePlan, major: number): MachinePlan {
  return major >= 14 ? plan : { ...plan, disks: plan.disks.map((disk) => ({ ...disk, bus: 'virtio' })) };
}

describe('the driver', () => {
  test('a process without the entitlement may explain, and may not create', async () => {
    const { driver } = macDriver({ report: ODD_MACS['node without the entitlement'] });
    const plan = await startablePlan();
    expect((await driver.explain(plan)).length).toBeGreaterThan(3);
    await expect(driver.create(plan)).rejects.toMatchObject({ code: 'E_HOST_UNSUPPORTED' });
  });

  test('takes the version of macOS from its kernel: to a program of an older SDK macOS gives another', async () => {
    const addon = new StandInVzAddon({ report: macReport(16, 0) });
    onTestFinished(() => addon.remove());
    const driver = vzDriver({ loadAddon: async () => addon, darwin: '25.1.0' });
    const { capabilities } = await driver.probe();
    expect(capabilities.find(({ id }) => id === 'macos')).toMatchObject({ status: 'ok', what: 'macOS 26.1' });
    expect(capabilities.find(({ id }) => id === 'rosetta')?.what).toContain('macOS 26.1');
    const old = vzDriver({ loadAddon: async () => addon, darwin: '21.6.0' });
    expect(await old.probe()).toMatchObject({ usable: false, capabilities: [{ id: 'macos', status: 'missing' }] });
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
    await expect(driver.create(await startablePlan())).rejects.toBe(missing);
  });

  test('is the one for macOS, and on a system that is none its addon is what is missing', async () => {
    const surroundings = { ...realSurroundings(), env: {}, architecture: 'arm64' };
    const driver = await hostDriver(statePaths({ HOME: '/nowhere' }), 'darwin', { surroundings });
    expect(driver.name).toBe('vz');
    if (process.platform === 'darwin') return;
    expect(await driver.probe()).toMatchObject({ usable: false, capabilities: [{ id: 'addon', status: 'missing' }] });
  });

  test('is none on another system', async () => {
    await expect(hostDriver(statePaths({}, '/nowhere'), 'win32')).rejects.toMatchObject({ code: 'E_HOST_UNSUPPORTED' });
  });

  test('empties the console’s log at a start, and keeps it for its owner', async () => {
    const { driver } = macDriver();
    const plan = await startablePlan();
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
