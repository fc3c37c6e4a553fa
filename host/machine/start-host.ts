/** Starts the host process of a machine and waits until the machine is ready. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Driver, HostProgram } from '../drivers/driver.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import { isLocked } from '../process/lock.ts';
import type { ProgressSink } from '../progress.ts';
import { type ControlClient, connectControl } from './control.ts';
import { hostProgram, spawnHost } from './host-program.ts';
import { type MachineFolder, readLastStop } from './record.ts';

export interface StartRequest {
  readonly driver: Driver;
  readonly paths: StatePaths;
  readonly folder: MachineFolder;
  readonly controlSocket: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: ProgressSink;
}

/** The host process limits each stage of a start by itself; this is for one that hangs, ms. */
const READY_TIMEOUT_MS = 8 * 60_000;
/** Loading the host process from a cold disk. */
const CONTROL_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
/** Cutting the power takes no longer than this, ms. */
const STOP_TIMEOUT_MS = 30_000;

/** Throws what stopped the machine from getting ready; then nothing of it runs any more. */
export async function startHost(request: StartRequest): Promise<void> {
  const program = await hostProgram(request.driver, request);
  try {
    await startOn(program, request);
  } finally {
    await program.release();
  }
}

async function startOn(program: HostProgram, request: StartRequest): Promise<void> {
  const { folder, paths } = request;
  const log = await open(folder.hostLog, 'w', 0o600);
  const child = spawnHost(program, [folder.name, JSON.stringify(paths)], { input: 'ignore', output: log.fd });
  await log.close();
  const exited = once(child, 'exit').then(() => {});
  try {
    const ended = exited.then(() => 'ended' as const);
    if ((await Promise.race([awaitReady(request, child), ended])) === 'ended') throw await endedEarly(folder);
  } catch (error) {
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
    throw error;
  }
  child.unref();
}

async function awaitReady({ controlSocket, signal, onProgress }: StartRequest, child: ChildProcess): Promise<void> {
  const aborted = abortOf(signal);
  const deadline = performance.now() + CONTROL_TIMEOUT_MS;
  let control: ControlClient | null = null;
  try {
    while (control === null) {
      signal?.throwIfAborted();
      if (performance.now() > deadline || child.exitCode !== null) throw noControl(controlSocket);
      control = await connectControl(controlSocket, CONTROL_TIMEOUT_MS, ({ progress }) => onProgress(progress));
      if (control === null) await sleep(POLL_MS);
    }
    await Promise.race([control.call('ready', {}, READY_TIMEOUT_MS), aborted.promise]);
  } catch (error) {
    if (signal?.aborted === true) await control?.call('stop', { force: true }, STOP_TIMEOUT_MS).catch(() => {});
    throw error;
  } finally {
    aborted.forget();
    control?.close();
  }
}

function abortOf(signal: AbortSignal | undefined): { readonly promise: Promise<never>; forget(): void } {
  let onAbort = (): void => {};
  const promise = new Promise<never>((_, reject) => {
    onAbort = () => reject(asRosettaVmError(signal?.reason));
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  promise.catch(() => {});
  return { promise, forget: () => signal?.removeEventListener('abort', onAbort) };
}

async function endedEarly(folder: MachineFolder): Promise<RosettaVmError> {
  const last = await readLastStop(folder);
  if (last?.error !== undefined && last.error !== null) return RosettaVmError.fromJSON(last.error);
  if (await isLocked(folder.hostLock)) {
    return new RosettaVmError('E_LOCKED', {
      what: `The machine ${folder.name} was started by another process meanwhile.`,
      why: 'Its host process holds the lock.',
      fix: `\`rosetta-vm status ${folder.name}\` shows it.`,
    });
  }
  return new RosettaVmError('E_VM_FAILED', {
    what: `The host process of the machine ${folder.name} ended.`,
    why: last?.message ?? `${folder.hostLog} may say why.`,
    fix: 'Start it again with `rosetta-vm up`.',
  });
}

const noControl = (socket: string): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: 'The host process of the machine did not get ready.',
    why: `Nothing listened at ${socket} within ${CONTROL_TIMEOUT_MS / 1000} s.`,
    fix: 'Try again with less load on this computer.',
    facts: { socket },
  });
