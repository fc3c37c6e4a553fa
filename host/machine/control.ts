/**
 * The control socket of a host process: newline-delimited JSON both ways, bounded lines. The host process greets with
 * {@link Hello}; then each request gets one reply with its `id`, and events come in between.
 * A client of another version of rosetta-vm must still be able to ask for `status` and to `stop`: fields are only ever
 * added, and a changed meaning raises {@link CONTROL_PROTOCOL}.
 */
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { deferred } from '../deferred.ts';
import type { PublishedPort } from '../docker/ports.ts';
import { RosettaVmError } from '../errors.ts';
import type { ProgressEvent } from '../progress.ts';

export const CONTROL_PROTOCOL = 1;

/** Longest line that either side takes, characters. */
export const MAX_LINE = 1024 * 1024;

export interface Hello {
  readonly protocol: number;
  /** Version of rosetta-vm that the host process runs. */
  readonly version: string;
  readonly pid: number;
}

/** Answer of `status`. */
export interface HostStatus {
  readonly phase: 'starting' | 'running' | 'stopping';
  /** Unix ms. */
  readonly startedAt: number;
  readonly memoryBytes: number;
  /** Absent from a host process of a version without Docker, as is `protocol` from one that forwards TCP alone. */
  readonly ports?: readonly (Omit<PublishedPort, 'protocol'> & Partial<PublishedPort>)[];
  /** What the driver said last of a disk that does not work as it should; absent when there is nothing to say. */
  readonly diskProblem?: string;
}

/** Answer of `agent`. */
export interface AgentAddress {
  /** Unix socket that leads to the agent. */
  readonly socket: string;
  readonly token: string;
}

/** Method → its parameters and its answer. */
export interface ControlMethods {
  status: { params: Record<string, never>; result: HostStatus };
  agent: { params: Record<string, never>; result: AgentAddress };
  /** Answers when the machine is ready, or fails with the reason why it will not be. */
  ready: { params: Record<string, never>; result: HostStatus };
  /** Answers when the machine has stopped; the host process ends right after. */
  stop: { params: { readonly force: boolean }; result: Record<string, never> };
}
export type ControlMethod = keyof ControlMethods;

export interface ControlEvent {
  readonly progress: ProgressEvent;
}

export interface ControlClient {
  readonly hello: Hello;
  /** Throws the host process's error, `E_TIMEOUT`, or `E_VM_FAILED` when the connection ends first. */
  call<M extends ControlMethod>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs: number,
  ): Promise<ControlMethods[M]['result']>;
  close(): void;
}

/**
 * Connects, or answers null when nothing listens there. Throws `E_TIMEOUT` when what listens does not greet in
 * `timeoutMs`, `E_PROTOCOL` when it is something else.
 */
export async function connectControl(
  socketPath: string,
  timeoutMs: number,
  onEvent: (event: ControlEvent) => void = () => {},
): Promise<ControlClient | null> {
  const socket = net.connect(socketPath);
  try {
    await once(socket, 'connect');
  } catch {
    return null;
  }
  const pending = new Map<number, (reply: Reply | RosettaVmError) => void>();
  const greeting = deferred<Hello | RosettaVmError>();
  const end = (error: RosettaVmError): void => {
    greeting.resolve(error);
    for (const settle of pending.values()) settle(error);
    pending.clear();
    socket.destroy();
  };
  readLines(socket, (line) => {
    const message = parseLine(line);
    if (message === null) return end(protocolError(socketPath));
    if (isHello(message.hello)) greeting.resolve(message.hello);
    else if (typeof message.id === 'number') {
      pending.get(message.id)?.(message);
      pending.delete(message.id);
    } else if (typeof message.event === 'object' && message.event !== null) onEvent(message.event as ControlEvent);
  });
  socket.on('error', () => {});
  socket.once('close', () => end(connectionLost(socketPath)));

  const hello = await settled(greeting.promise, timeoutMs, `The process behind ${socketPath} did not greet.`);
  if (hello instanceof RosettaVmError) throw hello;
  let lastId = 0;
  return {
    hello,
    async call(method, params, limitMs) {
      const id = ++lastId;
      const reply = new Promise<Reply | RosettaVmError>((resolve) => {
        pending.set(id, resolve);
        if (socket.destroyed) resolve(connectionLost(socketPath));
      });
      socket.write(`${JSON.stringify({ id, method, params })}\n`);
      const answer = await settled(reply, limitMs, `The machine's host process did not answer "${method}".`);
      if (answer instanceof RosettaVmError) throw answer;
      if (answer.error !== undefined) throw RosettaVmError.fromJSON(answer.error);
      // The host process is ours, the same user's, and speaks the protocol that it greeted with.
      return answer.result as ControlMethods[typeof method]['result'];
    },
    close: () => socket.destroy(),
  };
}

interface Reply {
  readonly id?: unknown;
  readonly hello?: unknown;
  readonly event?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Calls `onLine` for each line; a line that grows beyond the bound ends the connection. */
export function readLines(socket: net.Socket, onLine: (line: string) => void): void {
  let unended = 0;
  socket.on('data', (chunk: Buffer) => {
    const newline = chunk.lastIndexOf(0x0a);
    unended = newline < 0 ? unended + chunk.length : chunk.length - newline - 1;
    if (unended > MAX_LINE) socket.destroy();
  });
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('line', onLine);
  // readline re-emits its input's errors; the socket's own handler deals with them.
  lines.on('error', () => {});
}

/** An object, or null for anything else. */
export function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function isHello(value: unknown): value is Hello {
  if (typeof value !== 'object' || value === null) return false;
  const { protocol, version, pid } = value as Record<string, unknown>;
  return typeof protocol === 'number' && typeof version === 'string' && typeof pid === 'number';
}

async function settled<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let alarm: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    alarm = setTimeout(() => {
      reject(
        new RosettaVmError('E_TIMEOUT', {
          what,
          why: `${Math.round(timeoutMs / 1000)} s went by.`,
          fix: 'Try again; `rosetta-vm down --force` ends a machine that no longer answers.',
        }),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(alarm);
  }
}

const protocolError = (socketPath: string): RosettaVmError =>
  new RosettaVmError('E_PROTOCOL', {
    what: 'The machine’s host process sent something that is not its protocol.',
    why: `${socketPath} carried a line that is no JSON object.`,
    fix: 'Stop the machine with `rosetta-vm down --force` and start it again.',
    facts: { socket: socketPath },
  });

const connectionLost = (socketPath: string): RosettaVmError =>
  new RosettaVmError('E_VM_FAILED', {
    what: 'The machine’s host process ended.',
    why: `The connection to ${socketPath} was closed.`,
    fix: '`rosetta-vm status` tells how it ended; `rosetta-vm up` starts it again.',
    facts: { socket: socketPath },
  });
