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

/** Opens a stream to a port of the guest. Fails with `E_TIMEOUT` or `E_VM_FAILED`. */
export async function connectVsock(socketPath: string, port: number, limitMs: number): Promise<Duplex> {
  // Half-open: the guest may go on sending after the host has ended its side.
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(timeoutError(port, limitMs)), limitMs);
      socket.once('connect', () => socket.write(`CONNECT ${port}\n`));
      socket.once('error', (error: NodeJS.ErrnoException) => reject(refusedError(port, explain(error), error)));
      socket.once('end', () => reject(refusedError(port, NOBODY_LISTENS)));
      readAnswer(socket, port).then(resolve, reject);
    });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
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

function refusedError(port: number, why: string, cause?: unknown): RosettaVmError {
  return new RosettaVmError('E_VM_FAILED', {
    what: `No connection to vsock port ${port} of the guest.`,
    why,
    fix: 'Wait until it has started; its serial log shows how far it is.',
    facts: { port },
    cause,
  });
}
