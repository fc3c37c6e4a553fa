/** The start of a machine of its own, from the command to the agent's first answer. */

import { RosettaVmError } from '../../host/errors.ts';
import type { Arm } from '../session.ts';
import { bootBare, bootOwn, makeStartMachine, removeStartMachine, type StartMachine } from '../start.ts';
import type { BootBenchmark } from '../suites/schema.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import { ClockWatch, JUMP_MS } from './clock.ts';
import { limited } from './limited.ts';

/** The limit (the native arm) is the same kernel and disk with node as the first process, from power-on to its end. */
export async function prepareBoot(bench: Bench, benchmark: BootBenchmark): Promise<BenchmarkRunner> {
  const { machines, paths, spec, signal } = bench;
  const machine: StartMachine = { machines, paths, name: 'bench-start', spec, signal };
  await makeStartMachine(machine);
  return {
    unit: 'seconds',
    smallerIsBetter: true,
    warmUps: 0,
    sample: async (arm: Arm): Promise<Sample> => {
      const clock = new ClockWatch();
      const value = await limited(benchmark.title, benchmark.limitSeconds, signal, async (own) => {
        const timed = { ...machine, signal: own };
        return arm.native ? await bootBare(timed) : (await bootOrStop(timed)).whole;
      });
      // Host and guest tell each other instants of their clocks.
      if (clock.look() > JUMP_MS) throw clockJumped();
      return { value, counts: {} };
    },
    dispose: () => removeStartMachine(machine),
  };
}

/** A machine that runs on after a failure would make the next start look like none. */
async function bootOrStop(machine: StartMachine): ReturnType<typeof bootOwn> {
  try {
    return await bootOwn(machine);
  } catch (error) {
    await machine.machines.down(machine.name, { force: true });
    throw error;
  }
}

const clockJumped = (): RosettaVmError =>
  new RosettaVmError('E_VERIFY', {
    what: 'The computer’s clock was set while a start was measured.',
    why: 'Its time cannot be told.',
    fix: 'Measure again.',
  });
