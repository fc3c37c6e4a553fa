/**
 * Streams from the host to the guest's vsock ports. vhost-device-vsock takes them on a unix socket: a client writes
 * `CONNECT <port>\n` and reads `OK <port>\n`; then the stream is the guest's (the hybrid vsock of Firecracker's
 * docs/vsock.md). A port on which nobody listens closes the connection without an answer.
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LineSplitter } from '../../channel/lines.ts';
import { RosettaVmError } from '../../errors.ts';

/** `OK ` and a 32-bit number. */
const MAX_ANSWER_BYTES = 32;

const NOBODY_LISTENS = 'Nothing in the guest listens on it (yet).';

/** Of a guest that answers nothing: connections to it that are kept open, see {@link VsockDialer}. */
const MAX_UNANSWERED = 256;

/**
 * Opens streams to the guest's ports.
 *
 * A connection whose time is over is kept until the guest answers it or the daemon ends, and only then closed: when a
 * client has hung up by the time that the guest answers, vhost-device-vsock panics (the `write_all(…).unwrap()` of its
 * src/vsock_conn.rs), and from then on no connection of the machine gets anywhere.
 */
export class VsockDialer {
  readonly #socketPath: string;
  readonly #unanswered = new Set<Socket>();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Opens a stream to a port of the guest. Fails with `E_TIMEOUT` or `E_VM_FAILED`. */
  async connect(port: number, limitMs: number): Promise<Duplex> {
    if (this.#unanswered.size >= MAX_UNANSWERED) throw deafError(port);
    // Half-open: the guest may go on sending after the host has ended its side.
    const socket = connect({ path: this.#socketPath, allowHalfOpen: true });
    const answered = answerOf(socket, port);
    let timer: NodeJS.Timeout | undefined;
    const timeOver = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(timeoutError(port, limitMs)), limitMs);
    });
    try {
      await Promise.race([answered, timeOver]);
      return socket;
    } catch (error) {
      this.#closeWhenAnswered(socket, answered);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #closeWhenAnswered(socket: Socket, answered: Promise<void>): void {
    this.#unanswered.add(socket);
    socket.unref();
    const close = (): void => {
      this.#unanswered.delete(socket);
      socket.destroy();
    };
    answered.then(close, close);
  }
}

/** Resolves when the guest has taken the connection, whose stream then stands behind the answer; rejects when not. */
async function answerOf(socket: Socket, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => socket.write(`CONNECT ${port}\n`));
      socket.once('error', (error: NodeJS.ErrnoException) => reject(refusedError(port, explain(error), error)));
      socket.once('end', () => reject(refusedError(port, NOBODY_LISTENS)));
      readAnswer(socket, port).then(resolve, reject);
    });
  } finally {
    socket.removeAllListeners();
  }
}

/** Reads up to the first line's end and gives back what came after it. */
function readAnswer(socket: Socket, port: number): Promise<void> {
  const lines = new LineSplitter(MAX_ANSWER_BYTES, 'vhost-device-vsock');
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      try {
        const line = lines.next(chunk);
        if (line === undefined) return;
        socket.pause().off('data', take);
        if (!line.startsWith('OK ')) throw refusedError(port, `The answer was ${JSON.stringify(line)}.`);
        if (lines.rest.length > 0) socket.unshift(lines.rest);
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    socket.on('data', take);
  });
}

/** The daemon hangs up on every client until the guest's driver has set up its queues. */
function explain({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EPIPE' || code === 'ECONNRESET' ? NOBODY_LISTENS : message;
}

function timeoutError(port: number, limitMs: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `The guest did not answer on vsock port ${port}.`,
    why: `Nothing came within ${limitMs / 1000} s.`,
    fix: 'Wait until it has started; its serial log shows how far it is.',
    facts: { port, limitMs },
  });
}

function deafError(port: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `The guest does not answer on vsock port ${port}.`,
    why: `${MAX_UNANSWERED} connections to it wait for an answer already.`,
    fix: 'Its serial log shows what it does; `rosetta-vm down --force` ends it.',
    facts: { port, unanswered: MAX_UNANSWERED },
  });
}

function refusedError(port: number, why: string, cause?: unknown): RosettaVmError {
  return new RosettaVmError('E_VM_FAILED', {
    what: `No connection to vsock port ${port} of the guest.`,
    why,
    fix: 'Wait until it has started; its serial log shows how far it is.',
    facts: { port },
    cause,
  });
}
