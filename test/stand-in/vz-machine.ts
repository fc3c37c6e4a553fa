/** One machine of the stand-in: its state table, its queue, and what a test makes its guest do (see vz-addon.ts). */
import { closeSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import {
  ADDON_FAILURES,
  type VzConfiguration,
  type VzConnection,
  type VzFailure,
  type VzLine,
  type VzState,
  type VzVerb,
} from '../../host/drivers/vz/addon.ts';
import type { StandInWorld } from './vz-addon.ts';
import { addonFailure, posixFailure, vzFailure } from './vz-failures.ts';

export interface MachineParts {
  /** Where lines go; the machine's to close. */
  readonly writer: number;
  openStream(): number;
  mayStart(): boolean;
  readonly limitFailure: VzFailure;
}

const INVALID_STATE = vzFailure(3, 'Invalid virtual machine state.');
const INVALID_TRANSITION = vzFailure(4, 'Invalid virtual machine state transition.');
/** Of macOS. */
const ECONNRESET = 54;

export class StandInMachine {
  readonly configuration: VzConfiguration;
  /** Verbs that have reached the queue's front, in their order. */
  readonly asked: VzVerb[] = [];
  /** The state in which it was let go of; null before. */
  closedIn: VzState | null = null;
  readonly #world: StandInWorld;
  readonly #parts: MachineParts;
  /** The serial dispatch queue: one block at a time, in order, and none within the call that put it there. */
  readonly #queue: (() => void)[] = [];
  readonly #connections = new Set<number>();
  #lastConnection = 0;
  #state: VzState = 'stopped';
  #fresh = true;
  #open = true;
  #draining = false;

  constructor(configuration: VzConfiguration, world: StandInWorld, parts: MachineParts) {
    this.configuration = configuration;
    this.#world = world;
    this.#parts = parts;
  }

  /** One line and the end, for what has no machine. */
  static answerOnce(writer: number, line: VzLine): void {
    writeSync(writer, `${JSON.stringify(line)}\n`);
    closeSync(writer);
  }

  get state(): VzState {
    return this.#state;
  }

  /** Counts against the number of machines that may run. */
  get occupies(): boolean {
    return this.#state !== 'stopped' && this.#state !== 'error';
  }

  /** Connections whose `release` has not come. */
  get connections(): number {
    return this.#connections.size;
  }

  request(id: number, verb: VzVerb, argument: string | number | null): void {
    this.#dispatch(() => {
      this.asked.push(verb);
      if (this.#world.hangs.has(verb)) return;
      this.#answering(id, () => {
        const failure = this.#world.failures.get(verb);
        if (failure !== undefined) throw new Refused(failure);
        this.#run(id, verb, argument);
      });
    });
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.closedIn = this.#state;
    this.#queue.length = 0;
    this.#connections.clear();
    this.#state = 'stopped';
    closeSync(this.#parts.writer);
  }

  /** The guest powers off. */
  guestStops(): void {
    this.#dispatch(() => this.#guestDidStop(null));
  }

  /** `virtualMachine:didStopWithError:`. */
  crash(failure: VzFailure = vzFailure(1, 'Internal Virtualization error.')): void {
    this.#dispatch(() => this.#guestDidStop(failure));
  }

  /** The state changes and no delegate says anything. */
  stopSilently(): void {
    this.#dispatch(() => this.#enter('stopped'));
  }

  /** A network block device's server goes or comes back (Code-Hex/vz#167). */
  disk(disk: number, error: VzFailure | null): void {
    this.#dispatch(() => this.#say({ event: 'disk', disk, kind: error === null ? 'connected' : 'error', error }));
  }

  loseNetwork(error: VzFailure): void {
    this.#dispatch(() => this.#say({ event: 'network', error }));
  }

  /** Answers a request that was left without one, with a connection; gives its descriptor. */
  answerLate(id: number): number {
    const connection = this.#openConnection();
    this.#dispatch(() => this.#answer(id, connection));
    return connection.fd;
  }

  /** Bytes on the channel that are not the addon's. */
  write(text: string): void {
    this.#dispatch(() => this.#write(text));
  }

  /** The process that holds the other end dies. */
  breakChannel(): void {
    this.#dispatch(() => this.close());
  }

  #run(id: number, verb: VzVerb, argument: string | number | null): void {
    switch (verb) {
      case 'start':
        this.#start(id);
        break;
      case 'pause':
        this.#transition(id, ['running'], 'pausing', 'paused');
        break;
      case 'resume':
        this.#transition(id, ['paused'], 'resuming', 'running');
        break;
      case 'stop':
        // Not told to the delegate (Code-Hex/vz#154).
        this.#transition(id, ['running', 'paused'], 'stopping', 'stopped');
        break;
      case 'requestStop':
        this.#requestStop(id);
        break;
      case 'connect':
        this.#connect(id, Number(argument));
        break;
      case 'release':
        refuseUnless(this.#connections.delete(Number(argument)), NO_CONNECTION);
        this.#answer(id, null);
        break;
      case 'save':
        this.#save(id, String(argument));
        break;
      case 'restore':
        this.#restore(id, String(argument));
        break;
      case 'balloon':
        refuseUnless(this.#state === 'running', INVALID_STATE);
        this.#answer(id, null);
        break;
    }
  }

  #start(id: number): void {
    refuseUnless(this.#state === 'stopped' && this.#fresh, INVALID_TRANSITION);
    refuseUnless(this.#parts.mayStart(), this.#parts.limitFailure);
    this.#fresh = false;
    this.#enter('starting');
    this.#completeLater(id, () => {
      for (const [index, { attachment }] of this.configuration.disks.entries()) {
        if (attachment.kind !== 'nbd') continue;
        if (this.#world.unreachable.has(attachment.url)) {
          this.#enter('stopped');
          throw new Refused(UNREACHABLE);
        }
        this.#say({ event: 'disk', disk: index, kind: 'connected', error: null });
      }
      this.#enter('running');
    });
  }

  #transition(id: number, from: readonly VzState[], via: VzState, to: VzState): void {
    refuseUnless(from.includes(this.#state), INVALID_TRANSITION);
    this.#enter(via);
    this.#completeLater(id, () => {
      // The guest may have ended meanwhile.
      refuseUnless(this.#state === via, INVALID_TRANSITION);
      this.#enter(to);
    });
  }

  #requestStop(id: number): void {
    refuseUnless(this.#state === 'running', INVALID_STATE);
    this.#answer(id, null);
    if (this.#world.obeysPowerButton) this.#dispatch(() => this.#guestDidStop(null));
  }

  #connect(id: number, port: number): void {
    refuseUnless(this.#state === 'running', INVALID_STATE);
    refuseUnless(!this.#world.refuses.has(port), posixFailure(ECONNRESET, 'Connection reset by peer'));
    // "Does nothing" where nobody listens (VZVirtioSocketDevice.h).
    if (this.#world.listens.has(port)) this.#dispatch(() => this.#answer(id, this.#openConnection()));
  }

  #openConnection(): VzConnection {
    this.#lastConnection += 1;
    this.#connections.add(this.#lastConnection);
    return { connection: this.#lastConnection, fd: this.#parts.openStream() };
  }

  #save(id: number, file: string): void {
    this.#validateSaveRestoreSupport();
    refuseUnless(this.#state === 'paused', INVALID_STATE);
    const { diskFull } = this.#world;
    this.#enter('saving');
    this.#completeLater(id, () => {
      refuseUnless(this.#state === 'saving', INVALID_TRANSITION);
      this.#enter('paused');
      refuseUnless(!diskFull, vzFailure(11, 'The virtual machine failed to save.', '', 'no space left'));
      writeFileSync(file, this.#identity());
    });
  }

  #restore(id: number, file: string): void {
    this.#validateSaveRestoreSupport();
    refuseUnless(this.#state === 'stopped' && this.#fresh, INVALID_TRANSITION);
    refuseUnless(this.#parts.mayStart(), this.#parts.limitFailure);
    this.#enter('restoring');
    this.#completeLater(id, () => {
      const saved = readFileSync(file, 'utf8');
      if (saved !== this.#identity()) {
        this.#enter('stopped');
        const reason = saved.startsWith('another Mac') ? 'permission denied' : 'invalid argument';
        throw new Refused(vzFailure(12, 'The virtual machine failed to restore.', '', reason));
      }
      this.#fresh = false;
      this.#enter('paused');
    });
  }

  /** The addon asks it before the framework's own call. The text is that of openai/tart#803. */
  #validateSaveRestoreSupport(): void {
    const { unsaveable } = this.#world;
    if (unsaveable === null) return;
    throw new Refused(
      vzFailure(2, `Invalid virtual machine configuration. Unsupported ${unsaveable} in configuration.`),
    );
  }

  /** What must be the same for a state to fit: openai/tart#1297 (identifier), #527 (MAC address). */
  #identity(): string {
    const { machineIdentifier, network, CPUCount, memorySize, disks } = this.configuration;
    return JSON.stringify({ machineIdentifier, network, CPUCount, memorySize, disks });
  }

  #guestDidStop(error: VzFailure | null): void {
    if (this.#state === 'stopped' || this.#state === 'error') return;
    this.#enter(error === null ? 'stopped' : 'error');
    this.#say({ event: 'stopped', error });
  }

  #enter(state: VzState): void {
    this.#state = state;
    this.#say({ event: 'state', state });
  }

  /** A completion handler: a block of its own behind what is in the queue already. */
  #completeLater(id: number, block: () => void): void {
    this.#dispatch(() =>
      this.#answering(id, () => {
        block();
        this.#answer(id, null);
      }),
    );
  }

  #answering(id: number, block: () => void): void {
    try {
      block();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#say({ id, ok: false, error: error.failure });
    }
  }

  #answer(id: number, value: VzConnection | null): void {
    this.#say({ id, ok: true, value });
  }

  #say(line: VzLine): void {
    this.#write(`${JSON.stringify(line)}\n`);
  }

  #write(text: string): void {
    if (!this.#open) return;
    try {
      writeSync(this.#parts.writer, text);
    } catch (error) {
      // The reader has gone.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
  }

  #dispatch(block: () => void): void {
    this.#queue.push(block);
    if (this.#draining) return;
    this.#draining = true;
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    this.#queue.shift()?.();
    this.#draining = this.#queue.length > 0;
    if (this.#draining) setImmediate(() => this.#drain());
  }
}

class Refused extends Error {
  readonly failure: VzFailure;

  constructor(failure: VzFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

function refuseUnless(condition: boolean, failure: VzFailure): void {
  if (!condition) throw new Refused(failure);
}

/** superhq-ai/shuru#25. */
const UNREACHABLE = vzFailure(2, 'The storage device attachment is invalid.');

const NO_CONNECTION = addonFailure(ADDON_FAILURES.absent, 'No such connection.');
