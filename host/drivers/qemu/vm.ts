/** One virtual machine under QEMU: its states, what may be asked in each, and what its end means. */
import type { Duplex } from 'node:stream';
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import type { OwnedProcess } from '../../process/owned.ts';
import { within } from '../../within.ts';
import type { StopReason, VirtualMachine, VirtualMachineState } from '../driver.ts';
import { ObservedMachine } from '../observed-machine.ts';
import type { MachineCommands } from './arguments.ts';
import { endProcesses, launch, type RunningProcesses } from './launch.ts';
import type { QmpEvent } from './qmp.ts';
import { type Ending, stopReason } from './stop-reason.ts';
import { VsockDialer } from './vsock.ts';

/** `quit` writes back what is buffered for the disks. */
const QUIT_LIMIT_MS = 5_000;
/** A guest under emulation answers a vsock connection in well under a second, unless its host is too busy to run it. */
const CONNECT_LIMIT_MS = 15_000;
/** virtiofsd ends when QEMU does, and may be seen first. */
const HELPER_GRACE_MS = 500;
/** From QEMU's word that it shuts down to its end. */
const SHUTDOWN_LIMIT_MS = 10_000;

interface Life extends RunningProcesses {
  /** QEMU's SHUTDOWN event, once it came. */
  shutdown: QmpEvent | undefined;
  stopRequested: boolean;
  /** Resolves when nothing of the machine runs any more. */
  ended: Promise<void>;
}

export class QemuMachine extends ObservedMachine implements VirtualMachine {
  readonly #plan: MachinePlan;
  readonly #commands: MachineCommands;
  readonly #env: NodeJS.ProcessEnv;
  readonly #vsock: VsockDialer;
  #launch: { readonly abort: AbortController; readonly settled: Promise<unknown> } | undefined;
  #life: Life | undefined;

  constructor(plan: MachinePlan, commands: MachineCommands, env: NodeJS.ProcessEnv) {
    super(plan.name);
    this.#plan = plan;
    this.#commands = commands;
    this.#env = env;
    this.#vsock = new VsockDialer(commands.vsockSocket);
  }

  async start(): Promise<void> {
    this.require('start', 'stopped', 'error');
    this.enter('starting');
    const abort = new AbortController();
    const launching = launch(this.#plan, this.#commands, this.#env, abort.signal);
    this.#launch = { abort, settled: launching.catch(() => {}) };
    try {
      this.#live(await launching);
    } catch (error) {
      this.enter(abort.signal.aborted ? 'stopped' : 'error');
      throw abort.signal.aborted ? this.stoppedWhileStarting() : error;
    } finally {
      this.#launch = undefined;
    }
  }

  async pause(): Promise<void> {
    await this.#change('pause', { from: 'running', via: 'pausing', to: 'paused', command: 'stop' });
  }

  async resume(): Promise<void> {
    await this.#change('resume', { from: 'paused', via: 'resuming', to: 'running', command: 'cont' });
  }

  async requestStop(): Promise<void> {
    const { qmp } = this.#requireLife('ask to power off', 'running');
    await qmp.execute('system_powerdown');
  }

  async stop(): Promise<void> {
    if (this.#launch !== undefined) {
      this.#launch.abort.abort();
      await this.#launch.settled;
      // start() has yet to see it; its own state change comes first.
      await Promise.resolve();
    }
    const life = this.#life;
    if (life === undefined) return;
    if (!life.stopRequested) {
      life.stopRequested = true;
      this.enter('stopping');
      const quit = life.qmp.execute('quit', {}, QUIT_LIMIT_MS).catch(() => {});
      await within(
        QUIT_LIMIT_MS,
        quit.then(() => life.qemu.exited),
      );
      await life.qemu.kill();
    }
    await life.ended;
  }

  async connect(port: number): Promise<Duplex> {
    this.require('connect to', 'running');
    return await this.#vsock.connect(port, CONNECT_LIMIT_MS);
  }

  async save(): Promise<void> {
    throw this.#blockedFrom('saved');
  }

  async restore(): Promise<void> {
    throw this.#blockedFrom('restored');
  }

  #live(processes: RunningProcesses): void {
    const life: Life = { ...processes, shutdown: undefined, stopRequested: false, ended: Promise.resolve() };
    this.#life = life;
    life.qmp.on('event', (event) => {
      if (event.event === 'SHUTDOWN') life.shutdown = event;
      if (event.event === 'BLOCK_IO_ERROR') this.#diskError(event);
    });
    this.enter('running');
    for (const { role, attachment } of this.#plan.disks) {
      if (attachment.kind === 'nbd') this.emit('disk', { role, kind: 'connected', message: attachment.url });
    }
    life.ended = this.#untilEnd(life);
  }

  /** Waits for the end of the machine, whatever brings it, and clears up behind it. */
  async #untilEnd(life: Life): Promise<void> {
    const ending = await firstEnd(life);
    await endProcesses([life.qemu, ...life.helpers]);
    life.qmp.close();
    const reason = life.stopRequested
      ? ({ kind: 'requested', message: 'It was stopped.' } satisfies StopReason)
      : await stopReason(ending, this.#plan.serialLog);
    this.#life = undefined;
    this.enter(reason.kind === 'crashed' || reason.kind === 'killed' ? 'error' : 'stopped');
    this.emit('stopped', reason);
  }

  async #change(
    verb: string,
    step: { from: VirtualMachineState; via: VirtualMachineState; to: VirtualMachineState; command: string },
  ): Promise<void> {
    const { qmp } = this.#requireLife(verb, step.from);
    this.enter(step.via);
    let reached = step.from;
    try {
      await qmp.execute(step.command);
      reached = step.to;
    } finally {
      // It may have ended or been stopped meanwhile; that state stands.
      if (this.state === step.via) this.enter(reached);
    }
  }

  #requireLife(verb: string, state: VirtualMachineState): Life {
    this.require(verb, state);
    if (this.#life !== undefined) return this.#life;
    throw new RosettaVmError('E_INTERNAL', {
      what: `Cannot ${verb} the machine ${this.#plan.name}.`,
      why: `It is ${state} without a process.`,
      fix: 'Report this with what led to it.',
    });
  }

  #diskError({ data }: QmpEvent): void {
    const node = String(data['node-name'] ?? '');
    const role = this.#plan.disks[Number(/^disk(\d+)$/.exec(node)?.[1] ?? -1)]?.role ?? 'unknown';
    const message = `${String(data.operation ?? 'access')} failed: ${String(data.reason ?? 'no reason given')}`;
    this.emit('disk', { role, kind: 'error', message });
  }

  /** `query-migrate` in QEMU 7.2 names these devices as blockers. */
  #blockedFrom(done: string): RosettaVmError {
    const devices = [
      ...(this.#plan.disks.some(({ bus }) => bus === 'nvme') ? ['nvme'] : []),
      ...(this.#plan.shares.length > 0 ? ['vhost-user-fs'] : []),
      'vhost-user-vsock',
    ];
    const why = `QEMU cannot migrate ${devices.join(', ')} devices, and saving is a migration to a file.`;
    return this.notSaveable(done, why, devices);
  }
}

/** Which process ended first, with QEMU's shutdown event if there was one. */
async function firstEnd(life: Life): Promise<Ending> {
  const ends = [life.qemu, ...life.helpers].map(async (process) => {
    await process.exited;
    return process;
  });
  let process: OwnedProcess = await Promise.race(ends);
  if (process !== life.qemu) {
    const limit = life.shutdown === undefined && !life.stopRequested ? HELPER_GRACE_MS : SHUTDOWN_LIMIT_MS;
    await within(limit, life.qemu.exited);
    if (life.qemu.exit !== undefined) process = life.qemu;
  }
  return { process, isQemu: process === life.qemu, shutdown: life.shutdown };
}
