/** The other end of a machine's life: stopping it, and deleting it. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dropContext } from '../docker/context.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { runtimeDirectory, type StatePaths } from '../paths.ts';
import { runtimePlan } from '../plan/make-plan.ts';
import { isLocked, lock } from '../process/lock.ts';
import { ignoreProgress, type ProgressSink } from '../progress.ts';
import { connectControl } from './control.ts';
import { occupiedBytes } from './disks.ts';
import { inspectMachine } from './inspect.ts';
import type { DeletionItem } from './machine.ts';
import { endOrphans } from './orphans.ts';
import { type MachineFolder, machineFolder, writeLastStop } from './record.ts';

const CONTROL_TIMEOUT_MS = 5_000;
/** The host process limits each step of a stop (host-process.ts); together they take a good minute, ms. */
const STOP_TIMEOUT_MS = 120_000;
/** From the answer to `stop`, or from a SIGKILL, to the lock's release, ms. */
const RELEASE_TIMEOUT_MS = 15_000;
const POLL_MS = 50;
const DELETE_LOCK_MS = 10_000;

/** See {@link Machines.down}. */
export async function bringDown(
  paths: StatePaths,
  name: string,
  { force = false, onProgress = ignoreProgress }: { readonly force?: boolean; readonly onProgress?: ProgressSink } = {},
): Promise<void> {
  await inspectMachine(paths, name);
  const folder = machineFolder(paths, name);
  const runtime = runtimePlan(runtimeDirectory(paths, name));
  // A host process that was killed could not do it.
  if (!(await isLocked(folder.hostLock))) return await dropContext(name, runtime.docker);
  try {
    const control = await connectControl(runtime.control, CONTROL_TIMEOUT_MS, ({ progress }) => onProgress(progress));
    if (control === null) throw unresponsive(name);
    try {
      await control.call('stop', { force }, STOP_TIMEOUT_MS);
    } finally {
      control.close();
    }
  } catch (error) {
    // The connection may end just before the answer: what counts is whether the lock is free.
    if (await releasedWithin(folder, POLL_MS)) return;
    if (!force) throw asRosettaVmError(error);
    await killOwner(folder);
    await endOrphans(runtime.directory);
    const message = 'Its host process was killed by `down --force`.';
    await writeLastStop(folder, { kind: 'requested', message, error: null, at: Date.now() });
  }
  if (!(await releasedWithin(folder, RELEASE_TIMEOUT_MS))) throw unresponsive(name);
  await dropContext(name, runtime.docker);
}

async function releasedWithin(folder: MachineFolder, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (await isLocked(folder.hostLock)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** The lock is held, so the process whose number stands in its file is alive and the one that holds it. */
async function killOwner(folder: MachineFolder): Promise<void> {
  const pid = Number((await readFile(folder.hostLock, 'utf8')).trim());
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile; the lock tells.
  }
}

const unresponsive = (name: string): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: `The machine ${name} did not stop.`,
    why: 'Its host process does not answer.',
    fix: `End it with \`rosetta-vm down ${name} --force\`: what the guest has not written yet is lost.`,
    facts: { name },
  });

/** See {@link Machines.deletion}. */
export async function describeDeletion(paths: StatePaths, name: string, keepData: boolean): Promise<DeletionItem[]> {
  const { spec } = await inspectMachine(paths, name);
  const folder = machineFolder(paths, name);
  const [system = 0, data = 0, serial = 0, host = 0] = await Promise.all(
    [folder.systemDisk, folder.dataDisk, folder.serialLog, folder.hostLog].map(occupiedBytes),
  );
  const external = spec?.disk.attachment;
  // A machine that was given another disk later still has its first one.
  const hasOwn = external === undefined || data > 0;
  return [
    { what: 'system disk', path: folder.systemDisk, bytes: system, kept: false },
    ...(hasOwn ? [{ what: 'data disk', path: folder.dataDisk, bytes: data, kept: keepData } as const] : []),
    ...(external === undefined ? [] : [{ what: 'external disk', path: external, bytes: null, kept: true } as const]),
    { what: 'logs and settings', path: folder.directory, bytes: serial + host, kept: false },
  ];
}

/** See {@link Machines.delete}. */
export async function deleteMachine(paths: StatePaths, name: string, keepData: boolean): Promise<void> {
  await inspectMachine(paths, name);
  const folder = machineFolder(paths, name);
  const held = await lock(folder.commandLock, { timeoutMs: DELETE_LOCK_MS, what: `The machine ${name}` });
  try {
    if (await isLocked(folder.hostLock)) {
      throw new RosettaVmError('E_STATE', {
        what: `The machine ${name} is running.`,
        why: 'Only a stopped machine can be deleted.',
        fix: `Stop it with \`rosetta-vm down ${name}\`, then delete it.`,
        facts: { name },
      });
    }
    await dropContext(name, runtimePlan(runtimeDirectory(paths, name)).docker);
    // Without a disk of its own there is nothing to keep here: an external one is not touched either way.
    if (keepData && (await occupiedBytes(folder.dataDisk)) > 0) await removeAllButData(folder);
    else await removeFolder(folder);
  } finally {
    await held.release();
  }
}

/** The record goes first: without it the folder is a kept data disk, whatever else is still there. */
export async function removeAllButData(folder: MachineFolder): Promise<void> {
  await rm(folder.record, { force: true });
  const names = await readdir(folder.directory);
  const kept = path.basename(folder.dataDisk);
  await Promise.all(
    names
      .filter((name) => name !== kept)
      .map((name) => rm(path.join(folder.directory, name), { recursive: true, force: true })),
  );
}

/** Out of the way in one step: a removal that is cut short leaves no half machine. The name is no machine's. */
async function removeFolder(folder: MachineFolder): Promise<void> {
  const doomed = `${folder.directory}.deleted-${randomBytes(4).toString('hex')}`;
  await rename(folder.directory, doomed);
  await rm(doomed, { recursive: true, force: true });
}
