/** Machines of the driver for Macs on a stand-in of its addon: it runs none, and says so itself (test/stand-in/vz-addon.ts). */
import { expect, onTestFinished } from 'vitest';
import type { Driver, VirtualMachine } from '../../../../host/drivers/driver.ts';
import { vzDriver } from '../../../../host/drivers/vz/driver.ts';
import type { VzLimits } from '../../../../host/drivers/vz/limits.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import { type StandInOptions, StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { PlanFolder } from './plans.ts';

/** Times that a test can wait for. */
export const SHORT: VzLimits = {
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
/** Something listens here in the guest, and echoes. */
export const ECHO_PORT = 1024;
/** Nothing does here, and no answer ever comes. */
export const SILENT_PORT = 4711;

/** A plan whose files exist until the test has finished. */
export async function startablePlan(): Promise<MachinePlan> {
  const folder = new PlanFolder();
  onTestFinished(() => folder.remove());
  return await folder.plan();
}

export function macDriver(options: StandInOptions = {}): { driver: Driver; addon: StandInVzAddon } {
  const addon = new StandInVzAddon(options);
  addon.world.listens.add(ECHO_PORT);
  onTestFinished(() => addon.remove());
  return { addon, driver: vzDriver({ loadAddon: async () => addon, limits: SHORT }) };
}

export interface RunningMachine {
  readonly machine: VirtualMachine;
  readonly addon: StandInVzAddon;
  readonly plan: MachinePlan;
  readonly driver: Driver;
  /** Each state that it told, in order. */
  readonly states: readonly string[];
}

/** A machine that runs, on a stand-in of its own. */
export async function running(options: StandInOptions = {}): Promise<RunningMachine> {
  const { driver, addon } = macDriver(options);
  const plan = await startablePlan();
  const machine = await driver.create(plan);
  const states: string[] = [];
  machine.on('state', (state) => states.push(state));
  onTestFinished(() => machine.stop());
  await machine.start();
  return { machine, addon, plan, driver, states };
}

/** Looks again and again, without a sleep, for as long as something on this computer may take. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await condition())) {
    expect(performance.now()).toBeLessThan(deadline);
    await new Promise(setImmediate);
  }
}
