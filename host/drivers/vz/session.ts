/**
 * One life of a machine in the addon: made, asked, let go of. Replies find who asked; each request has its time; a
 * descriptor that comes when nobody waits for it any more is closed. What the machine's states mean is vm.ts's.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { deferred } from '../../deferred.ts';
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { within } from '../../within.ts';
import type { VzAddon, VzConfiguration, VzConnection, VzEvent, VzLine, VzReply, VzVerb } from './addon.ts';
import { vzError } from './errors.ts';
import { type LineReader, openDescriptor, readLines } from './lines.ts';
import { thrownFailure } from './messages.ts';

/** The addon lets go of a machine on its queue, behind what is already there. */
const CLOSE_LIMIT_MS = 5_000;

export interface SessionHandlers {
  event(event: VzEvent): void;
  /** The channel ended although nobody closed the session: nothing more is heard of the machine. */
  lost(why: string): void;
}

interface Pending {
  readonly verb: VzVerb;
  resolve(value: VzConnection | null): void;
  reject(error: Error): void;
}

export class VzSession {
  readonly #addon: VzAddon;
  readonly #plan: MachinePlan;
  readonly #handlers: SessionHandlers;
  readonly #handle: number;
  readonly #reader: LineReader;
  readonly #pending = new Map<number, Pending>();
  /** Connects whose caller has given up: what comes for them is closed. */
  readonly #abandoned = new Set<number>();
  readonly #sockets = new Set<Socket>();
  readonly #ended = deferred<void>();
  #lastId = 0;
  #closing = false;
  #over: RosettaVmError | undefined;

  /** Makes the machine; nothing of it runs yet. Throws what {@link vzError} makes of the framework's refusal. */
  constructor(addon: VzAddon, plan: MachinePlan, configuration: VzConfiguration, handlers: SessionHandlers) {
    this.#addon = addon;
    this.#plan = plan;
    this.#handlers = handlers;
    const { handle, events } = this.#asked('configure', () => addon.createMachine(JSON.stringify(configuration)));
    this.#handle = handle;
    this.#reader = readLines(events, { line: (line) => this.#take(line), end: (error) => this.#end(error) });
  }

  /**
   * Asks one verb. Rejects with what {@link vzError} makes of the framework's error, `E_TIMEOUT`, or `E_VM_FAILED` when
   * the machine is gone.
   */
  async request(verb: VzVerb, argument: string | number | null, limitMs: number): Promise<VzConnection | null> {
    if (this.#over !== undefined) throw this.#over;
    this.#lastId += 1;
    const id = this.#lastId;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { verb, resolve, reject });
        timer = setTimeout(() => {
          if (verb === 'connect') this.#abandoned.add(id);
          reject(timeoutError(this.#plan, verb, limitMs));
        }, limitMs);
        this.#asked(verb, () => this.#addon.request(this.#handle, id, verb, argument));
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  /** Opens a stream to a vsock port of the guest. Throws `E_TIMEOUT` or `E_VM_FAILED`. */
  async connect(port: number, limitMs: number): Promise<Socket> {
    const value = await this.request('connect', port, limitMs).catch((error: unknown) => {
      throw connectError(port, error);
    });
    if (value === null) throw refused(port, 'The addon gave no descriptor.');
    const socket = openDescriptor(value.fd, { readable: true, writable: true });
    if (socket instanceof Error) {
      this.#release(value);
      throw refused(port, `Its descriptor cannot be used: ${socket.message}`);
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#release(value);
    });
    return socket;
  }

  /** Lets go of the machine, whatever it does, and of every stream to it. Resolves when all is gone. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      for (const socket of this.#sockets) socket.destroy();
      try {
        this.#addon.closeMachine(this.#handle);
      } catch {
        // Without the addon's help the channel is closed from this side.
        this.#reader.close();
      }
    }
    await within(CLOSE_LIMIT_MS, this.#ended.promise);
    this.#reader.close();
    await this.#ended.promise;
  }

  #take(line: VzLine): void {
    if ('id' in line) this.#reply(line);
    else if (line.event !== 'wake') this.#handlers.event(line);
  }

  #reply(reply: VzReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    const nobody = this.#abandoned.delete(reply.id) || (pending !== undefined && pending.verb !== 'connect');
    if (reply.ok && reply.value !== null && nobody) {
      closeSync(reply.value.fd);
      this.#release(reply.value);
    }
    if (pending === undefined) return;
    if (reply.ok) pending.resolve(pending.verb === 'connect' ? reply.value : null);
    else pending.reject(vzError(reply.error, { plan: this.#plan, verb: pending.verb }));
  }

  /** The descriptor is closed: the framework's own end of the connection may go. Nobody waits for the answer. */
  #release({ connection }: VzConnection): void {
    this.request('release', connection, CLOSE_LIMIT_MS).catch(() => {});
  }

  #end(error: Error | null): void {
    const why = error?.message ?? 'The addon closed its channel.';
    this.#over = new RosettaVmError('E_VM_FAILED', {
      what: `The machine ${this.#plan.name} is gone.`,
      why: this.#closing ? 'It was stopped.' : why,
      fix: 'Start it again.',
      ...(error === null ? {} : { cause: error }),
    });
    for (const pending of this.#pending.values()) pending.reject(this.#over);
    this.#pending.clear();
    this.#ended.resolve();
    if (!this.#closing) this.#handlers.lost(why);
  }

  /** Runs a call of the addon that may throw, and throws in its place what it means. */
  #asked<T>(verb: VzVerb | 'configure', call: () => T): T {
    try {
      return call();
    } catch (error) {
      const failure = thrownFailure(error);
      if (failure !== null) throw vzError(failure, { plan: this.#plan, verb });
      throw new RosettaVmError('E_INTERNAL', {
        what: `The Virtualization.framework addon refused a call (${verb}).`,
        why: error instanceof Error ? error.message : String(error),
        fix: 'This is a fault in rosetta-vm: report it with all of this output.',
        cause: error,
      });
    }
  }
}

function connectError(port: number, error: unknown): RosettaVmError {
  const { code, why, facts, message } = error as RosettaVmError;
  if (code !== 'E_TIMEOUT') return refused(port, why ?? message, facts);
  return new RosettaVmError('E_TIMEOUT', {
    what: `The guest did not answer on vsock port ${port}.`,
    why: `${why} The framework does not answer for a port on which nobody listens.`,
    fix: 'Wait until it has started; its serial log shows how far it is.',
    facts: { port, ...facts },
  });
}

function refused(port: number, why: string, facts: RosettaVmError['facts'] = {}): RosettaVmError {
  return new RosettaVmError('E_VM_FAILED', {
    what: `No connection to vsock port ${port} of the guest.`,
    why,
    fix: 'Wait until it has started; its serial log shows how far it is.',
    facts: { ...facts, port },
  });
}

function timeoutError({ name }: MachinePlan, verb: VzVerb, limitMs: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `Virtualization.framework did not answer ${verb} for the machine ${name}.`,
    why: `Nothing came within ${limitMs / 1000} s.`,
    fix: 'The Mac may be overloaded: try again, or stop the machine.',
    facts: { machine: name, verb, limitMs },
  });
}
