/** Starts the processes of a machine in their order, and ends them all. */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { OwnedProcess } from '../../process/owned.ts';
import { hasListener } from '../../process/unix-socket.ts';
import type { HelperCommand, MachineCommands } from './arguments.ts';
import { processFailure } from './failure.ts';
import { preflight } from './preflight.ts';
import { QmpClient } from './qmp.ts';

/** Helpers listen within milliseconds; QEMU answers after it has mapped the guest's memory. A busy host is slower. */
const HELPER_LIMIT_MS = 15_000;
const QMP_LIMIT_MS = 30_000;
const POLL_MS = 5;
const LAST_WORDS_MS = 500;

export interface RunningProcesses {
  readonly qemu: OwnedProcess;
  readonly helpers: readonly OwnedProcess[];
  readonly qmp: QmpClient;
}

/**
 * Starts helpers, then QEMU, and waits until QMP answers. On failure, or when `signal` aborts, everything that was
 * started has ended before it rejects. Throws what preflight.ts throws, `E_VM_FAILED`, `E_TIMEOUT` or the abort reason.
 */
export async function launch(
  plan: MachinePlan,
  commands: MachineCommands,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<RunningProcesses> {
  const sockets = [...commands.helpers.map(({ socket }) => socket), commands.vsockSocket, commands.qmpSocket];
  await preflight(plan, sockets);
  // QEMU appends to it.
  await writeFile(plan.serialLog, '', { mode: 0o600 });
  const started: OwnedProcess[] = [];
  const start = (command: HelperCommand | MachineCommands['qemu']): OwnedProcess => {
    const process = OwnedProcess.start(command, env);
    started.push(process);
    return process;
  };
  try {
    const helpers = commands.helpers.map(start);
    await waitFor(started, HELPER_LIMIT_MS, 'the helper daemons', signal, async () => {
      const listening = await Promise.all(commands.helpers.map(({ socket }) => hasListener(socket)));
      return listening.every(Boolean) ? true : undefined;
    });
    const qemu = start(commands.qemu);
    const qmp = await waitFor(started, QMP_LIMIT_MS, 'QEMU', signal, () => tryQmp(commands.qmpSocket, signal));
    return { qemu, helpers, qmp };
  } catch (error) {
    await endProcesses(started);
    throw error;
  }
}

/** Kills processes with everything they started; resolves when none is left. */
export async function endProcesses(processes: readonly OwnedProcess[]): Promise<void> {
  await Promise.all(processes.map((process) => process.kill()));
}

async function waitFor<T>(
  processes: readonly OwnedProcess[],
  limitMs: number,
  what: string,
  signal: AbortSignal,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    signal.throwIfAborted();
    await refuseExited(processes);
    const result = await attempt();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw timeoutError(what, limitMs);
    await sleep(POLL_MS);
  }
}

/** Throws when a process has ended. Helpers end with QEMU, which is started last, so its words are preferred. */
async function refuseExited(processes: readonly OwnedProcess[]): Promise<void> {
  const ended = processes.find(({ exit }) => exit !== undefined);
  if (ended === undefined) return;
  const last = processes.at(-1) ?? ended;
  await Promise.race([last.exited, sleep(LAST_WORDS_MS)]);
  const culprit = last.exit === undefined ? ended : last;
  throw processFailure(culprit.command, await culprit.exited, culprit.tail);
}

/**
 * Undefined while QEMU is not that far. It listens before it has looked at its other arguments: a connection that it
 * takes and drops is followed by its end, which tells more.
 */
async function tryQmp(socket: string, signal: AbortSignal): Promise<QmpClient | undefined> {
  try {
    return await QmpClient.connect(socket, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'E_VM_FAILED')
      return undefined;
    throw error;
  }
}

function timeoutError(what: string, limitMs: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `The machine did not start: ${what} did not get ready.`,
    why: `It took longer than ${limitMs / 1000} s.`,
    fix: 'The host may be overloaded: try again. The logs in the machine’s folder say how far it came.',
    facts: { limitMs },
  });
}
