/**
 * The process that owns one machine: its lock, its virtual machine, the socket that leads to the agent, the control
 * socket, and the guest's clock. It survives the terminal that started it; QEMU and the helpers do not survive it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_PORT, type Health } from '../../guest/protocol.ts';
import { type AgentClient, agentClient, waitForAgent } from '../channel/agent-client.ts';
import type { Listener } from '../channel/proxy.ts';
import { proxyUnixSocket } from '../channel/unix-proxy.ts';
import { deferred } from '../deferred.ts';
import { dropContext } from '../docker/context.ts';
import { PublishedPorts } from '../docker/ports.ts';
import { forwardDocker } from '../docker/socket.ts';
import type { Driver, StopReason, VirtualMachine, VirtualMachineEvents } from '../drivers/driver.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { DiskPlan, MachinePlan } from '../plan/plan.ts';
import { tryLock } from '../process/lock.ts';
import { type ProgressSink, stage } from '../progress.ts';
import { limitBootLog, waitForAnnouncement } from './boot-log.ts';
import { readBootToken } from './boot-share.ts';
import type { HostStatus } from './control.ts';
import { type ControlServer, serveControl } from './control-server.ts';
import { attachmentName, externalDisk } from './external-disk.ts';
import { keepTime } from './keep-time.ts';
import type { LastStop } from './machine.ts';
import { type MachineFolder, writeLastStop } from './record.ts';

/** Emulated guests need half a minute; a hang is noticed after this, ms. */
const AGENT_TIMEOUT_MS = 180_000;
/** Longer than an emulated boot beside others; what is torn on the console costs this once. */
const ANNOUNCEMENT_TIMEOUT_MS = 45_000;
const TRANSLATOR_TIMEOUT_MS = 120_000;
/** With many containers to take up again, a start of Docker is slow; the machine is of use before. */
const ENGINE_TIMEOUT_MS = 120_000;
const ENGINE_POLL_MS = 500;
/** A health request of a guest that is busy starting, ms. */
const POLL_MS = 250;
/**
 * Time that the guest gets to power off, at the agent's word and then at ACPI's, ms. The second is short: Debian's cloud
 * kernel has no driver for the power button of QEMU's virt machine.
 */
const AGENT_STOP_MS = 45_000;
const ACPI_STOP_MS = 5_000;

/** Runs the machine from start to end. Resolves when nothing of it runs any more; how it went is in its folder. */
export async function runHostProcess(folder: MachineFolder, plan: MachinePlan, driver: Driver): Promise<void> {
  const held = await tryLock(folder.hostLock);
  if (held === null) {
    throw new RosettaVmError('E_LOCKED', {
      what: `The machine ${plan.name} runs already.`,
      why: 'Another host process holds its lock.',
      fix: `\`rosetta-vm status ${plan.name}\` shows it.`,
    });
  }
  await held.note(String(process.pid));
  const owner = new Owner(folder, plan, await readBootToken(folder.boot));
  try {
    await owner.run(driver);
  } finally {
    await held.release();
  }
}

class Owner {
  readonly #folder: MachineFolder;
  readonly #plan: MachinePlan;
  readonly #token: string;
  readonly #startedAt = Date.now();
  readonly #abort = new AbortController();
  #phase: HostStatus['phase'] = 'starting';
  #machine: VirtualMachine | null = null;
  #ports: PublishedPorts | null = null;
  /** What works on the host for the machine while it runs, the control socket apart. */
  readonly #listeners: Listener[] = [];
  #stopRequested = false;
  #diskProblem: string | undefined;
  /** Settled when the machine is ready, or is known never to be. */
  readonly #ready = deferred<void>();
  /** Resolves when the virtual machine has stopped, for whatever reason. */
  readonly #stopped = deferred<StopReason>();

  constructor(folder: MachineFolder, plan: MachinePlan, token: string) {
    this.#folder = folder;
    this.#plan = plan;
    this.#token = token;
    // Whoever asks for `ready` gets the failure; without anybody asking it must not end the process.
    this.#ready.promise.catch(() => {});
  }

  async run(driver: Driver): Promise<void> {
    const { runtime } = this.#plan;
    await mkdir(runtime.directory, { recursive: true, mode: 0o700 });
    const control = await serveControl(runtime.control, {
      status: async () => this.#status(),
      agent: async () => ({ socket: runtime.agent, token: this.#token }),
      ready: async () => {
        await this.#ready.promise;
        return this.#status();
      },
      stop: async ({ force }) => {
        await this.#stop(force, sink);
        return {};
      },
    });
    const sink: ProgressSink = (event) => control.progress(event);
    const onSignal = (): void => void this.#stop(false, sink);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal);
    await this.#live(driver, control, sink);
  }

  async #live(driver: Driver, control: ControlServer, sink: ProgressSink): Promise<void> {
    let ending: LastStop;
    try {
      const machine = await driver.create(this.#plan);
      this.#machine = machine;
      machine.on('stopped', (reason) => {
        this.#abort.abort();
        this.#stopped.resolve(reason);
      });
      machine.on('disk', (event) => this.#noteDisk(event));
      const agent = agentClient({ connect: () => machine.connect(AGENT_PORT), token: this.#token });
      const { runtime } = this.#plan;
      this.#listeners.push(await proxyUnixSocket({ path: runtime.agent, connect: () => machine.connect(AGENT_PORT) }));
      await this.#start(machine, agent, sink);
      if (this.#plan.engine.enabled) await this.#showDocker(agent, sink);
      this.#phase = 'running';
      this.#ready.resolve();
      const timekeeper = keepTime(agent, { watchWake: driver.watchWake });
      const reason = await this.#stopped.promise;
      timekeeper.stop();
      const kind = this.#stopRequested ? 'requested' : reason.kind;
      ending = { kind, message: reason.message, error: null, at: Date.now() };
    } catch (error) {
      const known = asRosettaVmError(error);
      this.#ready.reject(known);
      ending = this.#stopRequested
        ? { kind: 'requested', message: 'It was stopped while it started.', error: null, at: Date.now() }
        : { kind: 'failed', message: known.what, error: known.toJSON(), at: Date.now() };
    }
    this.#phase = 'stopping';
    await this.#machine?.stop();
    this.#stopped.resolve({ kind: 'requested', message: 'It was stopped.' });
    await writeLastStop(this.#folder, ending);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    // Also when the guest went by itself: plain `docker` must not be left with a machine that is gone.
    await dropContext(this.#plan.name, this.#plan.runtime.docker).catch(complain);
    await control.close();
    await rm(this.#plan.runtime.directory, { recursive: true, force: true });
  }

  async #start(machine: VirtualMachine, agent: AgentClient, sink: ProgressSink): Promise<void> {
    const { signal } = this.#abort;
    await stage(sink, 'vm.start', 'Starting the virtual machine', () => machine.start());
    this.#listeners.push(limitBootLog(this.#plan.serialLog, complain));
    await stage(sink, 'agent.wait', 'Waiting for the guest', () => this.#orStopped(this.#waitForAgent(agent, signal)));
    const { dataDisk } = await stage(sink, 'translator.wait', 'Registering the translator', () =>
      this.#orStopped(waitForTranslator(agent, signal)),
    );
    const external = externalDisk(this.#plan);
    if (external !== undefined && dataDisk.state !== 'ready') throw unusable(external, dataDisk.reason);
  }

  /** For `status`, until its server is there again. Errors come in crowds, and host.log wants each once. */
  #noteDisk({ role, kind, message }: VirtualMachineEvents['disk'][0]): void {
    const problem = kind === 'error' ? `The ${role} disk: ${message}.` : undefined;
    if (problem !== undefined && problem !== this.#diskProblem) process.stderr.write(`${problem}\n`);
    this.#diskProblem = problem;
  }

  async #waitForAgent(agent: AgentClient, signal: AbortSignal): Promise<void> {
    const { serialLog } = this.#plan;
    await waitForAnnouncement(serialLog, { timeoutMs: ANNOUNCEMENT_TIMEOUT_MS, signal });
    await waitForAgent(agent, { timeoutMs: AGENT_TIMEOUT_MS, signal, serialLog });
  }

  /** Brings Docker's socket and the published ports to the host. A Docker that does not start is no machine that fails. */
  async #showDocker(agent: AgentClient, sink: ProgressSink): Promise<void> {
    this.#listeners.push(await forwardDocker(this.#plan.name, this.#plan.runtime.docker, agent));
    await stage(sink, 'engine.wait', 'Starting Docker', () =>
      this.#orStopped(waitForEngine(agent, this.#abort.signal)),
    );
    this.#ports = new PublishedPorts(agent);
    this.#ports.start();
    this.#listeners.push(this.#ports);
  }

  /** A machine that stops while something is awaited of it is the better explanation. */
  async #orStopped<T>(work: Promise<T>): Promise<T> {
    const stopped = this.#stopped.promise.then((reason): never => {
      throw new RosettaVmError('E_VM_FAILED', {
        what: `The machine ${this.#plan.name} stopped while it was starting.`,
        why: reason.message,
        fix: 'Start it again; if it stays, build the image anew with `rosetta-vm image build`.',
        facts: { kind: reason.kind },
      });
    });
    work.catch(() => {});
    return await Promise.race([work, stopped]);
  }

  #status(): HostStatus {
    const problem = this.#diskProblem === undefined ? {} : { diskProblem: this.#diskProblem };
    return {
      ...{ phase: this.#phase, startedAt: this.#startedAt, memoryBytes: process.memoryUsage.rss() },
      ports: this.#ports?.list() ?? [],
      ...problem,
    };
  }

  /** Each step has its time; the next is harder. Resolves when nothing runs any more. */
  async #stop(force: boolean, sink: ProgressSink): Promise<void> {
    const wasRunning = this.#phase === 'running';
    this.#stopRequested = true;
    this.#phase = 'stopping';
    const machine = this.#machine;
    if (machine !== null) {
      await stage(sink, 'vm.stop', 'Stopping the virtual machine', async () => {
        if (!force && wasRunning && (await this.#askGuest(machine))) return;
        await machine.stop();
      });
    }
    this.#abort.abort();
    await this.#stopped.promise;
  }

  async #askGuest(machine: VirtualMachine): Promise<boolean> {
    const agent = agentClient({ connect: () => machine.connect(AGENT_PORT), token: this.#token });
    const asked = await agent.shutdown().then(
      () => true,
      () => false,
    );
    if (asked && (await this.#stopsWithin(AGENT_STOP_MS))) return true;
    const pressed = await machine.requestStop().then(
      () => true,
      () => false,
    );
    return pressed && (await this.#stopsWithin(ACPI_STOP_MS));
  }

  async #stopsWithin(ms: number): Promise<boolean> {
    const timer = new AbortController();
    const outcome = await Promise.race([
      this.#stopped.promise.then(() => true),
      sleep(ms, false, { signal: timer.signal }).catch(() => false),
    ]);
    timer.abort();
    return outcome;
  }
}

/** The guest's reasons end with the sentence that says why. */
const unusable = ({ attachment }: DiskPlan, reason = 'The guest gave no reason.'): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `The machine cannot use its data disk ${attachmentName(attachment)}.`,
    why: reason,
    fix: 'Nothing on it was changed. Attach a blank disk or one that rosetta-vm made, and start the machine again.',
    facts: { disk: attachmentName(attachment) },
  });

/**
 * Resolves when the translator, its cache and the data disk are ready or have failed: the answer tells which, programs of
 * the guest run either way.
 */
async function waitForTranslator(agent: AgentClient, signal: AbortSignal): Promise<Health> {
  const deadline = performance.now() + TRANSLATOR_TIMEOUT_MS;
  let health: Health;
  do {
    signal.throwIfAborted();
    health = await agent.health();
    const { translator, cache, dataDisk } = health;
    if (translator.state !== 'starting' && cache.state !== 'starting' && dataDisk.state !== 'mounting') return health;
    await sleep(POLL_MS, undefined, { signal });
  } while (performance.now() < deadline);
  throw new RosettaVmError('E_TIMEOUT', {
    what: 'The translator was not registered in time.',
    why: `After ${TRANSLATOR_TIMEOUT_MS / 1000} s the translator is ${health.translator.state} and the data disk ${health.dataDisk.state}.`,
    fix: 'Look at `rosetta-vm logs`, and try again.',
  });
}

/** Resolves when Docker is ready, has failed, or takes too long: `status` tells which. */
async function waitForEngine(agent: AgentClient, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ENGINE_TIMEOUT_MS;
  while (performance.now() < deadline && (await agent.health({ signal })).engine.state === 'starting') {
    await sleep(ENGINE_POLL_MS, undefined, { signal });
  }
}

/** To host.log: nobody waits for what this process could still say. */
function complain(error: unknown): void {
  process.stderr.write(`${asRosettaVmError(error).message}\n`);
}
