/**
 * What every driver must do, whatever runs below it. A driver's test calls {@link driverContract} once with a machine
 * whose guest needs no image of its own: it only has to stay up, and nothing in it listens on vsock.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Driver, StopReason, VirtualMachine, VirtualMachineState } from '../../host/drivers/driver.ts';
import type { MachinePlan } from '../../host/plan/plan.ts';

export interface ContractSubject {
  readonly driver: Driver;
  /** A fresh folder and plan for one machine. */
  makePlan(): Promise<MachinePlan>;
  /** Command lines of processes that belong to the machine. */
  processesOf(plan: MachinePlan): Promise<readonly string[]>;
}

/** Nobody in the guest listens here. */
const SILENT_PORT = 4711;

/** Registers the tests. */
export function driverContract({ driver, makePlan, processesOf }: ContractSubject): void {
  describe(`a ${driver.name} machine`, () => {
    let plan: MachinePlan;
    let machine: VirtualMachine | undefined;

    const create = async (): Promise<{
      machine: VirtualMachine;
      states: VirtualMachineState[];
      reasons: StopReason[];
    }> => {
      plan = await makePlan();
      const created = await driver.create(plan);
      machine = created;
      const states: VirtualMachineState[] = [];
      const reasons: StopReason[] = [];
      created.on('state', (state) => states.push(state));
      created.on('stopped', (reason) => reasons.push(reason));
      return { machine: created, states, reasons };
    };

    afterEach(async () => {
      await machine?.stop();
      machine = undefined;
      expect(await processesOf(plan)).toEqual([]);
    });

    test('is stopped when it is created, and nothing runs', async () => {
      const { machine } = await create();
      expect(machine.state).toBe('stopped');
      expect(await processesOf(plan)).toEqual([]);
    });

    test('refuses what only a running machine can do, and says in which state it is', async () => {
      const { machine } = await create();
      for (const call of [
        () => machine.pause(),
        () => machine.resume(),
        () => machine.requestStop(),
        () => machine.connect(SILENT_PORT),
      ]) {
        await expect(call()).rejects.toMatchObject({ code: 'E_STATE', facts: { state: 'stopped' } });
      }
      await expect(machine.stop()).resolves.toBeUndefined();
    });

    test('tells every state on its way, and once why it stopped', async () => {
      const { machine, states, reasons } = await create();
      await machine.start();
      await machine.pause();
      await machine.resume();
      await machine.requestStop();
      expect(machine.state).toBe('running');
      await machine.stop();
      expect(states).toEqual([
        'starting',
        'running',
        'pausing',
        'paused',
        'resuming',
        'running',
        'stopping',
        'stopped',
      ]);
      expect(reasons).toEqual([{ kind: 'requested', message: expect.any(String) }]);
    });

    test('starts once, however often it is asked', async () => {
      const { machine, states } = await create();
      const first = machine.start();
      await expect(machine.start()).rejects.toMatchObject({ code: 'E_STATE', facts: { state: 'starting' } });
      await first;
      await expect(machine.start()).rejects.toMatchObject({ code: 'E_STATE', facts: { state: 'running' } });
      expect(states).toEqual(['starting', 'running']);
    });

    test('refuses to pause twice and to resume what runs', async () => {
      const { machine } = await create();
      await machine.start();
      await expect(machine.resume()).rejects.toMatchObject({ code: 'E_STATE' });
      await machine.pause();
      await expect(machine.pause()).rejects.toMatchObject({ code: 'E_STATE' });
      await expect(machine.connect(SILENT_PORT)).rejects.toMatchObject({ code: 'E_STATE' });
    });

    test('stops while it starts, and the start says so', async () => {
      const { machine, reasons } = await create();
      const starting = machine.start();
      const outcome = expect(starting).rejects.toMatchObject({ code: 'E_ABORTED' });
      await machine.stop();
      await outcome;
      expect(machine.state).toBe('stopped');
      expect(reasons).toEqual([]);
    });

    test('stops while it is paused, and two stops at once are one', async () => {
      const { machine, reasons } = await create();
      await machine.start();
      await machine.pause();
      await Promise.all([machine.stop(), machine.stop()]);
      expect(machine.state).toBe('stopped');
      expect(reasons).toHaveLength(1);
    });

    test('can be started again after it was stopped', async () => {
      const { machine } = await create();
      await machine.start();
      await machine.stop();
      await machine.start();
      expect(machine.state).toBe('running');
    });

    test('a connection to a port where nobody listens fails, and soon', async () => {
      const { machine } = await create();
      await machine.start();
      const began = performance.now();
      const failure = await machine.connect(SILENT_PORT).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: expect.stringMatching(/^E_(VM_FAILED|TIMEOUT)$/) });
      expect(performance.now() - began).toBeLessThan(10_000);
    });

    test('a machine that cannot be saved says which devices are the reason', async () => {
      const { machine } = await create();
      const { capabilities } = await driver.probe();
      if (capabilities.some(({ id, status }) => id === 'save-restore' && status === 'ok')) return;
      for (const call of [() => machine.save('/nowhere'), () => machine.restore('/nowhere')]) {
        await expect(call()).rejects.toMatchObject({
          code: 'E_HOST_UNSUPPORTED',
          facts: { devices: expect.arrayContaining([expect.any(String)]) },
        });
      }
    });

    test('a listener that was taken off hears nothing more', async () => {
      const { machine } = await create();
      const heard: string[] = [];
      const listener = (state: string): void => void heard.push(state);
      machine.on('state', listener);
      await machine.start();
      machine.off('state', listener);
      await machine.stop();
      expect(heard).toEqual(['starting', 'running']);
    });

    test('the command lines that are explained name the kernel and every disk', async () => {
      plan = await makePlan();
      const words = (await driver.explain(plan)).flat().join(' ');
      expect(words).toContain(plan.boot.kernel);
      for (const { attachment } of plan.disks) if (attachment.kind === 'file') expect(words).toContain(attachment.path);
    });
  });
}

/** Resolves with the reason when the machine stops. Call it before what stops it. */
export function untilStopped(machine: VirtualMachine): Promise<StopReason> {
  return new Promise((resolve) => {
    machine.on('stopped', resolve);
  });
}
