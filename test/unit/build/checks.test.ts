/** What `doctor` says of builds where no probe can run; one that runs is looked at in a machine (test/integration). */
import { expect, test } from 'vitest';
import { buildChecks } from '../../../host/build/checks.ts';
import { RosettaVmError } from '../../../host/errors.ts';
import type { MachineStatus } from '../../../host/machine/machine.ts';
import type { Machines } from '../../../host/machine/machines.ts';

/** Machines of these names whose agents cannot be reached. */
const unreachable = (...found: Pick<MachineStatus, 'name' | 'engine'>[]): Machines =>
  ({
    list: async () => found,
    agent: async () => {
      throw new RosettaVmError('E_STATE', { what: 'It is gone.', why: 'It stopped.', fix: 'Start it.' });
    },
  }) as unknown as Machines;

const { signal } = new AbortController();

test('a machine whose probe cannot be built is told with the reason', async () => {
  const machines = unreachable({ name: 'ci', engine: { state: 'ready', restarts: 0 } });
  expect(await buildChecks(machines, signal)).toEqual([
    {
      id: 'build',
      status: 'degraded',
      what: 'x86_64 builds in ci fail',
      why: 'It is gone. It stopped.',
      fix: 'Start it.',
    },
  ]);
});

test('machines that are stopped, or have no Docker, are left alone', async () => {
  const machines = unreachable(
    { name: 'stopped', engine: null },
    { name: 'bare', engine: { state: 'off', restarts: 0 } },
  );
  expect(await buildChecks(machines, signal)).toEqual([]);
});
