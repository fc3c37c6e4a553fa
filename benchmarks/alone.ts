/** One measurement at a time in a machine: two would measure each other, and switch each other's cache off and on. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../host/errors.ts';
import type { StatePaths } from '../host/paths.ts';
import { tryLock } from '../host/process/lock.ts';
import { checkMachineName } from '../host/spec/spec.ts';
import { lockFile } from './runner/bench-folder.ts';

/** Throws `E_LOCKED` when another process measures in it, and what `work` throws. */
export async function alone<T>(paths: StatePaths, machine: string, work: () => Promise<T>): Promise<T> {
  const file = lockFile(paths, checkMachineName(machine));
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const held = await tryLock(file);
  if (held === null) throw measured(machine);
  try {
    return await work();
  } finally {
    await held.release();
  }
}

const measured = (machine: string): RosettaVmError =>
  new RosettaVmError('E_LOCKED', {
    what: `Another process measures in the machine ${machine}.`,
    why: 'Two at once would measure each other, and each switches the machine’s cache off and on.',
    fix: 'Wait for it to end; `bench` can measure another machine (--machine NAME) or other suites (--suite NAME) meanwhile.',
    facts: { machine },
  });
