/**
 * One virtual machine under Virtualization.framework: its states, what may be asked in each, and what its end means.
 * Every start makes a new machine in the addon, since a restored state wants one that never ran. Not run on a Mac.
 */
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { type Deferred, deferred } from '../../deferred.ts';
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { within } from '../../within.ts';
import type { StopReason, VirtualMachine, VirtualMachineState } from '../driver.ts';
import { lastPanic } from '../last-panic.ts';
import { ObservedMachine } from '../observed-machine.ts';
import type { VzAddon, VzConfiguration, VzEvent, VzState, VzVerb } from './addon.ts';
import { placeOf, wordsOf } from './errors.ts';
import type { VzLimits } from './limits.ts';
import { emptySerialLog, preflight } from './preflight.ts';
import { requireFolderOf, requireSavedState, writeSavedState } from './saved-state.ts';
import { VzSession } from './session.ts';

export interface VzMachineParts {
  readonly plan: MachinePlan;
  readonly configuration: VzConfiguration;
  readonly addon: VzAddon;
  /** Why a state can be neither saved nor restored on this Mac; null where it can. */
  readonly notSaveable: string | null;
  readonly limits: VzLimits;
}

type Ending =
  | { readonly by: 'guest' }
  | { readonly by: 'framework'; readonly words: string }
  | { readonly by: 'request' };

interface Life {
  readonly session: VzSession;
  /** What ended it; the first word counts. */
  readonly ending: Deferred<Ending>;
  /** The change of state that is under way. */
  change: { readonly verb: VzVerb; readonly settled: Promise<void> } | null;
  /** Set once `ending` is settled: what was under way says nothing about the state any more. */
  over: boolean;
  stopRequested: boolean;
  /** Resolves when nothing of the machine is left. */
  ended: Promise<void>;
}

interface Launch {
  aborted: boolean;
  life: Life | null;
  readonly settled: Deferred<void>;
}

export class VzMachine extends ObservedMachine implements VirtualMachine {
  readonly #parts: VzMachineParts;
  readonly #plan: MachinePlan;
  readonly #limits: VzLimits;
  #launch: Launch | undefined;
  #life: Life | undefined;

  constructor(parts: VzMachineParts) {
    super(parts.plan.name);
    this.#parts = parts;
    this.#plan = parts.plan;
    this.#limits = parts.limits;
  }

  async start(): Promise<void> {
    this.require('start', 'stopped', 'error');
    await this.#bringUp('start', null, 'running');
  }

  async pause(): Promise<void> {
    await this.#change('pause', { from: 'running', via: 'pausing', to: 'paused' });
  }

  async resume(): Promise<void> {
    await this.#change('resume', { from: 'paused', via: 'resuming', to: 'running' });
  }

  async requestStop(): Promise<void> {
    await this.#requireLife('ask to power off', 'running').session.request(
      'requestStop',
      null,
      this.#limits.requestStop,
    );
  }

  async stop(): Promise<void> {
    await this.#abortLaunch();
    const life = this.#life;
    if (life === undefined) return;
    if (!life.stopRequested && !life.over) {
      life.stopRequested = true;
      this.enter('stopping');
      await Promise.race([this.#powerOff(life), life.ending.promise]);
      this.#conclude(life, { by: 'request' });
    }
    await life.ended;
  }

  async connect(port: number): Promise<Duplex> {
    const { session } = this.#requireLife('connect to', 'running');
    return await session.connect(port, this.#limits.connect);
  }

  /** The file is whole or absent. Only this Mac can read it. */
  async save(file: string): Promise<void> {
    this.#requireSaveable('saved', file);
    await requireFolderOf(file);
    const life = this.#requireLife('save', 'paused');
    await writeSavedState(file, (temporary) =>
      this.#during(life, 'save', life.session.request('save', temporary, this.#limits.save)),
    );
  }

  /** Leaves the machine paused. After a failure it is stopped and can be started. */
  async restore(file: string): Promise<void> {
    this.#requireSaveable('restored', file);
    this.require('restore', 'stopped', 'error');
    await this.#bringUp('restore', file, 'paused');
  }

  /** From nothing to a machine that has started, or goes on from a saved state. */
  async #bringUp(verb: 'start' | 'restore', argument: string | null, reached: VirtualMachineState): Promise<void> {
    const launch: Launch = { aborted: false, life: null, settled: deferred() };
    this.#launch = launch;
    this.enter('starting');
    try {
      await preflight(this.#plan);
      if (argument === null) await emptySerialLog(this.#plan);
      else await requireSavedState(argument);
      if (launch.aborted) throw this.stoppedWhileStarting();
      const life = this.#open();
      launch.life = life;
      await Promise.race([
        life.session.request(verb, argument, this.#limits[verb]),
        // A machine that ends in its start gives the better reason; a reply that came before wins, being the first here.
        life.ending.promise.then((ending): never => {
          throw this.#endedInStart(ending);
        }),
      ]);
      if (launch.aborted) {
        await within(this.#limits.stop, life.session.request('stop', null, this.#limits.stop)).catch(() => {});
        throw this.stoppedWhileStarting();
      }
      this.#life = life;
      life.ended = this.#untilEnd(life);
      this.#launch = undefined;
      this.enter(reached);
    } catch (error) {
      await launch.life?.session.close();
      this.#launch = undefined;
      this.enter(launch.aborted || verb === 'restore' ? 'stopped' : 'error');
      throw launch.aborted ? this.stoppedWhileStarting() : error;
    } finally {
      launch.settled.resolve();
    }
  }

  /** A start that hangs is not waited for longer than a stop may take. */
  async #abortLaunch(): Promise<void> {
    const launch = this.#launch;
    if (launch === undefined) return;
    launch.aborted = true;
    await within(this.#limits.stop, launch.settled.promise);
    if (this.#launch === launch) await launch.life?.session.close();
    await launch.settled.promise;
  }

  #open(): Life {
    const ending = deferred<Ending>();
    const session = new VzSession(this.#parts.addon, this.#plan, this.#parts.configuration, {
      event: (event) => this.#hear(life, event),
      lost: (why) => this.#conclude(life, { by: 'framework', words: `The connection to it was lost: ${why}` }),
    });
    const life: Life = {
      session,
      ending,
      change: null,
      over: false,
      stopRequested: false,
      ended: Promise.resolve(),
    };
    return life;
  }

  #conclude(life: Life, ending: Ending): void {
    life.over = true;
    life.ending.resolve(ending);
  }

  /** Waits for the end of the machine, whatever brings it, and clears up behind it. */
  async #untilEnd(life: Life): Promise<void> {
    const ending = await life.ending.promise;
    await life.session.close();
    const reason = life.stopRequested ? REQUESTED : await this.#reasonFor(ending);
    this.#life = undefined;
    this.enter(reason.kind === 'crashed' ? 'error' : 'stopped');
    this.emit('stopped', reason);
  }

  async #powerOff(life: Life): Promise<void> {
    // While it changes from one state to another the framework refuses to stop it.
    if (life.change !== null) await within(this.#limits.stop, life.change.settled);
    // Whatever the answer: without a session nothing of the machine is left.
    await life.session.request('stop', null, this.#limits.stop).catch(() => {});
  }

  async #change(
    verb: 'pause' | 'resume',
    step: { from: VirtualMachineState; via: VirtualMachineState; to: VirtualMachineState },
  ): Promise<void> {
    const life = this.#requireLife(verb, step.from);
    this.enter(step.via);
    let reached = step.from;
    try {
      await this.#during(life, verb, life.session.request(verb, null, this.#limits[verb]));
      reached = step.to;
    } finally {
      // It may have ended or been stopped meanwhile; that state stands.
      if (this.state === step.via && !life.over) this.enter(reached);
    }
  }

  /** Marks a life as busy for as long as something changes it. */
  async #during(life: Life, verb: VzVerb, work: Promise<unknown>): Promise<void> {
    const change = { verb, settled: work.then(nothing, nothing) };
    life.change = change;
    try {
      await work;
    } finally {
      life.change = null;
    }
  }

  #hear(life: Life, event: VzEvent): void {
    switch (event.event) {
      case 'stopped': {
        const ending: Ending =
          event.error === null ? { by: 'guest' } : { by: 'framework', words: wordsOf(event.error) };
        this.#conclude(life, ending);
        break;
      }
      case 'state':
        this.#hearState(life, event.state);
        break;
      case 'disk': {
        const disk = this.#plan.disks[event.disk];
        const message = event.error === null ? (disk === undefined ? '' : placeOf(disk)) : wordsOf(event.error);
        this.emit('disk', { role: disk?.role ?? 'unknown', kind: event.kind, message });
        break;
      }
      case 'network':
        process.emitWarning(`The machine ${this.#plan.name} lost its network: ${wordsOf(event.error)}`);
    }
  }

  /**
   * Replies tell of the states that were asked for. What is left are those that came by themselves, or after the one who
   * asked had given up; and an end of which the delegate says nothing.
   */
  #hearState(life: Life, state: VzState): void {
    if (life !== this.#life || life.over || life.stopRequested || life.change !== null) return;
    if (state === 'running' || state === 'paused') {
      if (state !== this.state) this.enter(state);
    } else if (state === 'stopped' || state === 'error') {
      const words = 'It stopped and did not say why.';
      const timer = setTimeout(() => this.#conclude(life, { by: 'framework', words }), this.#limits.lastWord);
      life.ending.promise.then(() => clearTimeout(timer), nothing);
    }
  }

  async #reasonFor(ending: Ending): Promise<StopReason> {
    if (ending.by === 'request') return REQUESTED;
    if (ending.by === 'framework') {
      return { kind: 'crashed', message: `Virtualization.framework ended the machine. ${ending.words}` };
    }
    const panic = await lastPanic(this.#plan.serialLog).catch(() => null);
    if (panic !== null) return { kind: 'crashed', message: `The guest's kernel panicked: ${panic}` };
    return { kind: 'guest', message: 'The guest powered off.' };
  }

  #requireLife(verb: string, state: VirtualMachineState): Life {
    this.require(verb, state);
    const life = this.#life;
    if (life === undefined || life.over) throw this.wrongState(verb, 'It has just ended.', [state]);
    if (life.change !== null) throw this.wrongState(verb, `Something else is under way: ${life.change.verb}.`, [state]);
    return life;
  }

  #requireSaveable(done: string, file: string): void {
    if (this.#parts.notSaveable !== null) {
      throw this.notSaveable(done, this.#parts.notSaveable, ['every device of the machine']);
    }
    if (path.isAbsolute(file)) return;
    throw new RosettaVmError('E_USAGE', {
      what: `A machine cannot be ${done} with the file ${JSON.stringify(file)}.`,
      why: 'The process that owns the machine has another working folder.',
      fix: 'Name the file with its absolute path.',
      facts: { file },
    });
  }

  #endedInStart(ending: Ending): RosettaVmError {
    return new RosettaVmError('E_VM_FAILED', {
      what: `The machine ${this.#plan.name} ended while it was starting.`,
      why: ending.by === 'framework' ? ending.words : 'The guest powered off.',
      fix: 'Start it again; its serial log says how far it came.',
    });
  }
}

const REQUESTED: StopReason = { kind: 'requested', message: 'It was stopped.' };

const nothing = (): void => {};
