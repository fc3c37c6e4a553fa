/**
 * How fast a machine starts, beside the least that it could take: the same kernel and disk with node as the first
 * process and nothing else. On a machine of its own, so that the other keeps running.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { z } from 'zod';
import type { TracedStage } from '../host/cli/trace.ts';
import { hostDriver } from '../host/drivers/index.ts';
import { asRosettaVmError, RosettaVmError } from '../host/errors.ts';
import type { Driver, MachineSpec, Machines, ProgressSink, StatePaths, VirtualMachine } from '../host/index.ts';
import { packageFile } from '../host/package-root.ts';
import { stage } from '../host/progress.ts';

export interface StartTimes {
  /** Power-on to the agent's first answer, by the guest's clock, seconds, one per boot. */
  readonly agentReady: readonly number[];
  /** Power-on to the end of `node -e 0`, by the guest's clock, seconds, one per boot. */
  readonly bareNode: readonly number[];
  /** `rosetta-vm up` of a stopped machine until the guest's CPUs run, seconds, one per boot. */
  readonly hostWork: readonly number[];
}

/** The machine whose start is measured. */
export interface StartMachine {
  readonly machines: Machines;
  readonly paths: StatePaths;
  readonly name: string;
  /** As the machine that is measured otherwise has it. */
  readonly spec: MachineSpec;
  readonly signal: AbortSignal;
}

export interface StartOptions extends Omit<StartMachine, 'name'> {
  readonly rounds: number;
  readonly onProgress: ProgressSink;
}

const DEMO = 'demo-start';
const UP_LIMIT_MS = 10 * 60_000;
const BARE_LIMIT_MS = 3 * 60_000;
/** A start without anything takes less than a second on real hardware. */
const POLL_MS = 10;

/**
 * Boots in turn, so that a machine which gets slower does so for both. Nothing of its machine is left behind. A boot that
 * fails ends it with the times so far: what else was measured keeps its worth. Throws `E_ABORTED`.
 */
export async function measureStart(options: StartOptions): Promise<StartTimes> {
  const { signal, onProgress } = options;
  const machine: StartMachine = { ...options, name: DEMO };
  const times: Taken = { agentReady: [], bareNode: [], hostWork: [] };
  try {
    await bootInTurn(options, machine, times);
  } catch (error) {
    if (signal.aborted) throw error;
    const { what, why } = asRosettaVmError(error);
    onProgress({ kind: 'note', message: `The start was not measured to its end. ${what} ${why}` });
  } finally {
    await removeStartMachine(machine);
  }
  return times;
}

/** Times while they are taken. */
type Taken = { readonly [K in keyof StartTimes]: number[] };

async function bootInTurn({ rounds, onProgress }: StartOptions, machine: StartMachine, times: Taken): Promise<void> {
  await stage(onProgress, 'demo.start', 'A second machine, to measure its start', () => makeStartMachine(machine));
  for (let round = 1; round <= rounds; round += 1) {
    const of = `${round} of ${rounds}`;
    const bare = await stage(onProgress, 'demo.start', `node as the first process, ${of}`, () => bootBare(machine));
    times.bareNode.push(bare.node);
    const own = await stage(onProgress, 'demo.start', `rosetta-vm up, ${of}`, () => bootOwn(machine));
    times.agentReady.push(own.agentReady);
    times.hostWork.push(own.hostWork);
  }
}

/** Made anew and stopped: its first boot makes the data disk's file system, which later ones do not. */
export async function makeStartMachine(machine: StartMachine): Promise<void> {
  const { machines, name, spec, signal } = machine;
  await removeStartMachine(machine);
  await machines.up(name, spec, { signal });
  await machines.down(name);
}

/** Removes it and its data; there may be none. */
export async function removeStartMachine({ machines, name }: Pick<StartMachine, 'machines' | 'name'>): Promise<void> {
  try {
    await machines.down(name, { force: true });
    await machines.delete(name, { keepData: false });
  } catch (error) {
    if (asRosettaVmError(error).code !== 'E_NOT_FOUND') throw error;
  }
}

/**
 * Everything behind `--` goes to the first process (kernel-parameters.rst), here node. The disk is only read: an unclean
 * end would make the next boot replay its journal. Without a console node aborts, and Debian's kernel does not mount
 * /dev by itself.
 */
const BARE_INIT = 'devtmpfs.mount=1 init=/usr/bin/node -- -e 0';

/** What the kernel says, with the time since power-on, when the first process ends (kernel/exit.c); 0: successfully. */
const BARE_END = /^\[ *([\d.]+)\] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0{8}\r?$/m;

/** Seconds. */
interface BareBoot {
  /** By the guest's clock, which begins after power-on. */
  readonly node: number;
  /** By the host's, from the first work for it on, as that of {@link OwnBoot}. */
  readonly whole: number;
}

/** Throws `E_VM_FAILED`, `E_ABORTED` or what the driver throws. */
export async function bootBare(
  { machines, paths, name, spec, signal }: StartMachine,
  driverOf: (paths: StatePaths) => Promise<Pick<Driver, 'create'>> = hostDriver,
): Promise<BareBoot> {
  const { plan } = await machines.dryRun(name, spec);
  const serialLog = path.join(path.dirname(plan.serialLog), 'bare.log');
  const commandLine = `${plan.boot.commandLine.replace(/\brw\b/, 'ro')} ${BARE_INIT}`;
  await mkdir(plan.runtime.directory, { recursive: true, mode: 0o700 });
  await rm(serialLog, { force: true });
  const driver = await driverOf(paths);
  const begun = performance.now();
  const machine = await driver.create({ ...plan, serialLog, boot: { ...plan.boot, commandLine } });
  try {
    await machine.start();
    const node = await secondsToEnd(machine, serialLog, signal);
    return { node, whole: (performance.now() - begun) / 1000 };
  } finally {
    await machine.stop();
    await rm(plan.runtime.directory, { recursive: true, force: true });
  }
}

async function secondsToEnd(machine: VirtualMachine, serialLog: string, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + BARE_LIMIT_MS;
  for (;;) {
    // Asked first: what it wrote before it ended is then in the log.
    const ended = machine.state === 'stopped' || machine.state === 'error';
    const text = await readFile(serialLog, 'utf8').catch(() => '');
    const seconds = BARE_END.exec(text)?.[1];
    if (seconds !== undefined) return Number(seconds);
    if (ended || performance.now() > deadline) throw bareFailed(text);
    await sleep(POLL_MS, undefined, { signal });
  }
}

const bareFailed = (console: string): RosettaVmError =>
  new RosettaVmError('E_VM_FAILED', {
    what: 'node did not run as the first process.',
    why: `The guest’s console begins with ${JSON.stringify(console.slice(0, 1000))}.`,
    fix: 'Build the guest image anew with `rosetta-vm image build`.',
  });

const traceSchema = z.object({
  startedAt: z.number(),
  stages: z.array(z.object({ id: z.string(), startMs: z.number(), ms: z.number().nullable() })),
});
const statusSchema = z.tuple([z.object({ directory: z.string() })]);

/** Seconds. */
interface OwnBoot {
  readonly agentReady: number;
  readonly hostWork: number;
  /** From the command to the agent's first answer. */
  readonly whole: number;
}

/**
 * Starts the machine as a user does, with the command, and stops it again. The guest's clock begins at now minus its
 * uptime. That is not yet the end of the host's work: a kernel starts its clock when it has set up its memory
 * (start_kernel in Linux's init/main.c), which takes an emulated CPU a second, and longer with more memory.
 */
export async function bootOwn(machine: StartMachine): Promise<OwnBoot> {
  const { machines, name } = machine;
  const begun = Date.now();
  const { directory } = await upByCommand(machine);
  const clockBegan = await clockBegin(machine);
  const trace = traceSchema.parse(JSON.parse(await readFile(path.join(directory, 'trace.json'), 'utf8')));
  const at = (id: string): number => trace.startedAt + endOf(trace.stages, id);
  await machines.down(name);
  const ready = at('agent.wait');
  return {
    agentReady: (ready - clockBegan) / 1000,
    hostWork: (at('vm.start') - begun) / 1000,
    whole: (ready - begun) / 1000,
  };
}

async function upByCommand({ name, signal }: StartMachine): Promise<{ readonly directory: string }> {
  const { failed, stdout, stderr } = await execa(
    process.execPath,
    [packageFile('dist/rosetta-vm.js'), 'up', name, '--trace', '--json'],
    // In a folder without a rosetta-vm.yaml: the machine starts as it was made.
    { cwd: packageFile('dist'), stdin: 'ignore', timeout: UP_LIMIT_MS, cancelSignal: signal, reject: false },
  );
  if (signal.aborted) throw asRosettaVmError(signal.reason);
  if (failed) throw commandFailed(name, stderr);
  const [status] = statusSchema.parse(JSON.parse(stdout));
  return status;
}

const commandFailed = (name: string, stderr: string): RosettaVmError =>
  new RosettaVmError('E_VM_FAILED', {
    what: `\`rosetta-vm up ${name}\` failed.`,
    why: stderr.slice(-1000),
    fix: 'Mend what it says and measure again.',
  });

/** Unix ms. Half of the question's time is taken to be its way there. */
async function clockBegin({ machines, name }: StartMachine): Promise<number> {
  const agent = await machines.agent(name);
  const asked = Date.now();
  const { uptimeSeconds } = await agent.health();
  return (asked + Date.now()) / 2 - uptimeSeconds * 1000;
}

function endOf(stages: readonly Pick<TracedStage, 'id' | 'startMs' | 'ms'>[], id: string): number {
  const found = stages.find((one) => one.id === id);
  if (found !== undefined && found.ms !== null) return found.startMs + found.ms;
  throw new RosettaVmError('E_INTERNAL', {
    what: `The trace of \`rosetta-vm up\` has no stage ${id}.`,
    why: 'The command ended without it.',
    fix: 'Build everything anew with `npm run build`.',
  });
}
