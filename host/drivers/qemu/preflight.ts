/** Checks before anything is started, so that a mistake is told in the user's words and not in QEMU's. */
import { mkdir } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { RosettaVmError } from '../../errors.ts';
import { checkSocketPath } from '../../plan/make-plan.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { freeSocketPath } from '../../process/unix-socket.ts';
import { formatSize, MIB } from '../../spec/units.ts';
import { checkPlanFiles } from '../plan-files.ts';

/**
 * Throws what {@link checkPlanFiles} throws, `E_SIZE`, `E_PATH_TOO_LONG` or `E_ADDRESS_IN_USE`. Makes the socket folder;
 * removes stale sockets.
 */
export async function preflight(plan: MachinePlan, sockets: readonly string[]): Promise<void> {
  checkMemory(plan);
  await checkPlanFiles(plan);
  for (const socket of sockets) checkSocketPath(socket);
  await mkdir(plan.runtime.directory, { recursive: true, mode: 0o700 });
  for (const socket of sockets) await freeSocketPath(socket);
}

function checkMemory({ memoryMiB }: MachinePlan): void {
  const available = totalmem();
  if (memoryMiB * MIB <= available) return;
  throw new RosettaVmError('E_SIZE', {
    what: `The machine needs ${formatSize(memoryMiB * MIB)} of memory.`,
    why: `This host has ${formatSize(available)}.`,
    fix: 'Give the machine less memory.',
    facts: { field: 'memory', asked: memoryMiB * MIB, available },
  });
}
