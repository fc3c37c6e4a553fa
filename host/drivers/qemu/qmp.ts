/** QMP, QEMU's control protocol: newline JSON on a unix socket (docs/interop/qmp-spec.txt in QEMU's source). */
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { LineSplitter } from '../../channel/lines.ts';
import { RosettaVmError } from '../../errors.ts';

/** The longest answer we ask for (`query-migrate`) is under 2 KiB; this leaves room for odd events. */
const MAX_LINE_BYTES = 1024 * 1024;
/** QEMU answers from its main loop in milliseconds; under a busy emulator it may take seconds. */
const COMMAND_LIMIT_MS = 10_000;

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface QmpClientEvents {
  event: [event: QmpEvent];
  close: [];
}

export class QmpClient extends EventEmitter<QmpClientEvents> {
  readonly #stream: Duplex;
  readonly #lines = new LineSplitter(MAX_LINE_BYTES, 'QEMU');
  readonly #pending = new Map<string, Pending>();
  #greeted: ((version: string) => void) | undefined;
  #lastId = 0;
  #closed: RosettaVmError | undefined;

  /** Wraps a connected stream; {@link negotiate} must come first. */
  constructor(stream: Duplex) {
    super();
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('error', (error) => this.#close(error.message));
    stream.on('close', () => this.#close('QEMU closed its control socket.'));
  }

  /**
   * Connects to QEMU's socket and negotiates. `signal` closes the connection, now or later. Rejects with the socket's
   * own error, `E_VM_FAILED` (closed), `E_PROTOCOL` or `E_TIMEOUT`.
   */
  static async connect(path: string, signal: AbortSignal): Promise<QmpClient> {
    const socket = connect({ path, signal });
    await once(socket, 'connect');
    const client = new QmpClient(socket);
    await client.negotiate();
    return client;
  }

  /** Waits for the greeting and leaves negotiation mode; resolves with QEMU's version. */
  async negotiate(limitMs = COMMAND_LIMIT_MS): Promise<string> {
    const version = await this.#await<string>('greeting', limitMs, (pending) => {
      this.#pending.set('greeting', pending);
      this.#greeted = pending.resolve;
    });
    await this.execute('qmp_capabilities', {}, limitMs);
    return version;
  }

  /** Runs one command. Rejects with `E_VM_FAILED` (QEMU's words), `E_TIMEOUT` or `E_PROTOCOL`. */
  async execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    limitMs = COMMAND_LIMIT_MS,
  ): Promise<unknown> {
    this.#lastId += 1;
    const id = `rvm-${this.#lastId}`;
    return await this.#await(command, limitMs, (pending) => {
      this.#pending.set(id, pending);
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#stream.destroy();
  }

  async #await<T>(command: string, limitMs: number, begin: (pending: Pending) => void): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        timer = setTimeout(() => reject(timeout(command, limitMs)), limitMs);
        begin({ command, resolve: (value) => resolve(value as T), reject });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #take(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) if (line !== '') this.#dispatch(parseMessage(line));
    } catch (error) {
      this.#close(error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error));
      this.#stream.destroy();
    }
  }

  #dispatch(message: Readonly<Record<string, unknown>>): void {
    if (isRecord(message.QMP)) {
      this.#greeted?.(readVersion(message.QMP));
      this.#pending.delete('greeting');
    } else if (typeof message.event === 'string') {
      this.emit('event', { event: message.event, data: isRecord(message.data) ? message.data : {} });
    } else if (typeof message.id === 'string') {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (isRecord(message.error)) pending?.reject(refused(pending.command, String(message.error.desc ?? '')));
      else pending?.resolve(message.return);
    }
  }

  #close(why: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = new RosettaVmError('E_VM_FAILED', {
      what: 'The connection to QEMU is closed.',
      why,
      fix: 'Start the machine again; its serial log and qemu.log say what happened before.',
    });
    for (const pending of this.#pending.values()) pending.reject(this.#closed);
    this.#pending.clear();
    this.emit('close');
  }
}

function parseMessage(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw protocolError(`It is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) throw protocolError('It is not an object.');
  return value;
}

function readVersion(greeting: Readonly<Record<string, unknown>>): string {
  const version = isRecord(greeting.version) ? greeting.version.qemu : undefined;
  if (!isRecord(version)) throw protocolError('The greeting has no version.');
  return `${Number(version.major)}.${Number(version.minor)}.${Number(version.micro)}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function protocolError(why: string): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'QEMU sent a message that cannot be read.',
    why,
    fix: 'Check that nothing else writes to the machine’s QMP socket.',
  });
}

function refused(command: string, description: string): RosettaVmError {
  return new RosettaVmError('E_VM_FAILED', {
    what: `QEMU refused ${command}.`,
    why: description === '' ? 'It gave no reason.' : description,
    fix: 'Stop the machine and start it again.',
    facts: { command },
  });
}

function timeout(command: string, limitMs: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `QEMU did not answer ${command}.`,
    why: `It took longer than ${limitMs / 1000} s.`,
    fix: 'The host may be overloaded: try again, or stop the machine.',
    facts: { command, limitMs },
  });
}
