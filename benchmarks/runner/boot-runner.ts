/** The start of a machine of its own, from the command to the agent's first answer. */
import type { Arm } from '../session.ts';
import { bootBare, bootOwn, makeStartMachine, removeStartMachine, type StartMachine } from '../start.ts';
import type { BootBenchmark } from '../suites/schema.ts';
import { blameArm } from './arm-failure.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import { limited } from './limited.ts';

/** Its name, and that of the lock of whoever uses it. */
export const START_MACHINE = 'bench-start';

/** The limit (the native arm) is the same kernel and disk with node as the first process, until that has ended. */
export async function prepareBoot(bench: Bench, { title, limitSeconds }: BootBenchmark): Promise<BenchmarkRunner> {
  const { machines, paths, spec, signal } = bench;
  const machine: StartMachine = { machines, paths, name: START_MACHINE, spec, signal };
  await blameArm('The machine whose start is measured', () => makeOrRemove(machine));
  return {
    unit: 'seconds',
    smallerIsBetter: true,
    // Making the machine was a start, after which the host has read all that a start needs.
    warmUps: 0,
    sample: ({ native }: Arm): Promise<Sample> =>
      blameArm(title, async () => {
        const value = await limited(title, limitSeconds, signal, async (own) => {
          const timed = { ...machine, signal: own };
          // Both by the host's clock: the guest's begins only when its kernel has set up its memory.
          return (native ? await bootBare(timed) : await bootOrStop(timed)).whole;
        });
        return { value, counts: {} };
      }),
    dispose: () => removeStartMachine(machine),
  };
}

/** Of one that cannot be made nobody disposes. */
async function makeOrRemove(machine: StartMachine): Promise<void> {
  try {
    await makeStartMachine(machine);
  } catch (error) {
    await removeStartMachine(machine).catch(() => {});
    throw error;
  }
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
