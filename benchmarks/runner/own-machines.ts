/** The machines that a session makes beside the one that it measures: one session has them at a time. */
import { asRosettaVmError } from '../../host/errors.ts';
import { alone } from '../alone.ts';
import type { Fingerprint } from '../session.ts';
import type { Bench } from './benchmark-runner.ts';
import { START_MACHINE } from './boot-runner.ts';
import { DISK_MACHINES, DiskMachines } from './disk-machines.ts';
import type { SessionPlan } from './session-plan.ts';

/** Throws `E_LOCKED` when another session has such machines, what keeps them from being made, and what `work` throws. */
export async function withOwnMachines<T>(
  bench: Bench,
  plan: SessionPlan,
  fingerprint: Fingerprint,
  work: (bench: Bench) => Promise<T>,
): Promise<T> {
  const starts = plan.planned.some(({ chosen }) => chosen.benchmark.kind === 'boot');
  const measure = (): Promise<T> => withDisks(bench, plan, fingerprint, work);
  return starts ? await alone(bench.paths, START_MACHINE, measure) : await measure();
}

/** Gives the session the machines that its disks need, and takes them away again. */
async function withDisks<T>(
  bench: Bench,
  { apart }: SessionPlan,
  fingerprint: Fingerprint,
  work: (bench: Bench) => Promise<T>,
): Promise<T> {
  if (apart.length === 0) return await work(bench);
  const { machines, paths, spec, signal, onProgress } = bench;
  return await alone(paths, DISK_MACHINES, async () => {
    const disks = new DiskMachines({ machines, paths, like: { spec, ...fingerprint }, signal, onProgress });
    await disks.check(apart);
    try {
      return await work({ ...bench, diskPlace: (disk) => disks.place(disk) });
    } finally {
      await disks.remove().catch((thrown: unknown) => {
        const { what, why } = asRosettaVmError(thrown);
        onProgress({ kind: 'note', message: `A machine ${DISK_MACHINES}-… is left: ${what} ${why}` });
      });
    }
  });
}
