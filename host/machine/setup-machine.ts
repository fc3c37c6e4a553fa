/**
 * Runs the short-lived machine that makes an image's system disk: in this process where the driver allows it, else in
 * the driver's host program (host-main.ts, `--setup`), to which the plan goes as a file and which answers on stdout.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { z } from 'zod';
import { deferred } from '../deferred.ts';
import type { Driver, StopReason, VirtualMachine } from '../drivers/driver.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import type { MachinePlan } from '../plan/plan.ts';
import { type HostProgramOptions, hostProgram, spawnHost } from './host-program.ts';
import { readPlan, writePlan } from './plan-file.ts';

/** Unpacking takes a minute under emulation on a slow host; a hang is noticed after this, ms. */
export const SETUP_TIMEOUT_MS = 10 * 60_000;

/** Longer than the machine's own limit: only a host program that hangs meets it, ms. */
const PROGRAM_LIMIT_MS = SETUP_TIMEOUT_MS + 60_000;
/** An answer is one short line; an error quotes some lines of a log. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface SetupMachineRequest extends HostProgramOptions {
  readonly driver: Driver;
  readonly plan: MachinePlan;
  /** A folder for the plan's file, which the caller removes. */
  readonly directory: string;
  readonly paths: StatePaths;
}

/** Resolves to why it stopped. Throws `E_VM_FAILED`, `E_DISK_FULL`, `E_TIMEOUT`, `E_ABORTED`; nothing runs on then. */
export async function runSetupMachine(request: SetupMachineRequest): Promise<StopReason> {
  const { driver, plan, signal } = request;
  if (driver.hostProgram === undefined) return await runToEnd(await driver.create(plan), signal);
  return await runInHostProgram(request);
}

const ANSWER = z.union([
  z.object({ reason: z.object({ kind: z.enum(['guest', 'requested', 'crashed', 'killed']), message: z.string() }) }),
  z.object({ error: z.unknown() }),
]);
type Answer = z.infer<typeof ANSWER>;

/**
 * The host program's side: runs the machine of the plan in `planFile` and writes how it ended to stdout. The end of
 * stdin ends the machine, so that it does not outlive whoever asked for it.
 */
export async function answerSetup(planFile: string, driver: () => Promise<Driver>): Promise<void> {
  const given = new AbortController();
  process.stdin.once('close', () => given.abort()).resume();
  let answer: Answer;
  try {
    const plan = await readPlan(planFile);
    answer = { reason: await runToEnd(await (await driver()).create(plan), given.signal) };
  } catch (error) {
    answer = { error: asRosettaVmError(error).toJSON() };
  }
  await new Promise((resolve) => process.stdout.write(`${JSON.stringify(answer)}\n`, resolve));
}

async function runInHostProgram(request: SetupMachineRequest): Promise<StopReason> {
  const { driver, plan, directory, paths, signal } = request;
  const planFile = path.join(directory, 'plan.json');
  await writePlan(planFile, plan);
  const program = await hostProgram(driver, request);
  try {
    signal?.throwIfAborted();
    const child = spawnHost(program, ['--setup', planFile, JSON.stringify(paths)], { input: 'pipe', output: 'pipe' });
    const cancel = (): void => void child.stdin?.end();
    const alarm = setTimeout(() => child.kill('SIGKILL'), PROGRAM_LIMIT_MS);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await reasonOf(child);
    } finally {
      clearTimeout(alarm);
      signal?.removeEventListener('abort', cancel);
      child.stdin?.end();
    }
  } finally {
    await program.release();
  }
}

async function reasonOf(child: ChildProcess): Promise<StopReason> {
  let output = '';
  let errors = '';
  child.stdin?.on('error', () => {});
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, MAX_ANSWER_BYTES);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-MAX_ANSWER_BYTES);
  });
  const [code, endedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const answer = ANSWER.safeParse(jsonOf(output));
  if (!answer.success) {
    throw new RosettaVmError('E_VM_FAILED', {
      what: 'The program that sets up the system disk ended without an answer.',
      why: errors.trim().slice(-1000) || `It ended with ${endedBy ?? `status ${code}`}.`,
      fix: 'Run the same command again; `rosetta-vm doctor` checks what it needs.',
      facts: { exitStatus: code, signal: endedBy },
    });
  }
  if ('error' in answer.data) throw RosettaVmError.fromJSON(answer.data.error);
  return answer.data.reason;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function runToEnd(machine: VirtualMachine, signal: AbortSignal | undefined): Promise<StopReason> {
  const ended = deferred<StopReason>();
  const onAbort = (): void => ended.reject(asRosettaVmError(signal?.reason));
  const alarm = setTimeout(() => ended.reject(setupTimeout()), SETUP_TIMEOUT_MS);
  signal?.addEventListener('abort', onAbort, { once: true });
  machine.on('stopped', ended.resolve);
  // QEMU pauses a guest whose disk cannot be written; nothing moves again by itself.
  machine.on('disk', ({ kind, message }) => {
    if (kind === 'error') ended.reject(diskError(message));
  });
  try {
    signal?.throwIfAborted();
    const [, reason] = await Promise.all([machine.start(), ended.promise]);
    return reason;
  } finally {
    clearTimeout(alarm);
    signal?.removeEventListener('abort', onAbort);
    await machine.stop();
  }
}

export function diskError(message: string): RosettaVmError {
  if (/no ?space|ENOSPC/i.test(message)) return asRosettaVmError(Object.assign(new Error(message), { code: 'ENOSPC' }));
  return new RosettaVmError('E_VM_FAILED', {
    what: 'The system disk could not be written.',
    why: message,
    fix: 'Check the disk that holds the images folder, then run the same command again.',
  });
}

const setupTimeout = (): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: 'The system disk was not finished in time.',
    why: `The guest that sets it up did not end within ${SETUP_TIMEOUT_MS / 60_000} minutes.`,
    fix: 'Run the same command again with less load on this computer.',
  });
