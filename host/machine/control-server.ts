/** The listening side of the control socket (control.ts). */
import { chmod, rm } from 'node:fs/promises';
import net from 'node:net';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { ProgressEvent } from '../progress.ts';
import { version } from '../version.ts';
import { CONTROL_PROTOCOL, type ControlMethod, type ControlMethods, parseLine, readLines } from './control.ts';

export type ControlHandlers = {
  readonly [M in ControlMethod]: (params: ControlMethods[M]['params']) => Promise<ControlMethods[M]['result']>;
};

export interface ControlServer {
  /** Sends an event to every client. A client that does not read is dropped, never waited for. */
  progress(event: ProgressEvent): void;
  /** Stops listening, lets the replies that were written go out, ends every connection. */
  close(): Promise<void>;
}

/** Unread output of one client that is tolerated, bytes. */
const MAX_UNREAD = 4 * 1024 * 1024;

/**
 * Listens at `socketPath` (mode 0600). The caller holds the machine's lock, so a socket file found there is left from
 * a dead process and removed.
 */
export async function serveControl(socketPath: string, handlers: ControlHandlers): Promise<ControlServer> {
  const clients = new Set<net.Socket>();
  const send = (client: net.Socket, message: unknown): void => {
    if (client.destroyed) return;
    client.write(`${JSON.stringify(message)}\n`);
    if (client.writableLength > MAX_UNREAD) client.destroy();
  };
  const server = net.createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.once('close', () => clients.delete(client));
    send(client, { hello: { protocol: CONTROL_PROTOCOL, version, pid: process.pid } });
    readLines(client, (line) => void answer(line, handlers).then((reply) => send(client, reply)));
  });
  await rm(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o600);
  return {
    progress: (event) => {
      for (const client of clients) send(client, { event: { progress: event } });
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.destroySoon();
      await closed;
    },
  };
}

async function answer(line: string, handlers: ControlHandlers): Promise<Record<string, unknown>> {
  const request = parseLine(line);
  const id = typeof request?.id === 'number' ? request.id : null;
  try {
    return { id, result: await dispatch(request, handlers) };
  } catch (error) {
    return { id, error: asRosettaVmError(error).toJSON() };
  }
}

function dispatch(request: Record<string, unknown> | null, handlers: ControlHandlers): Promise<unknown> {
  switch (request?.method) {
    case 'status':
      return handlers.status({});
    case 'agent':
      return handlers.agent({});
    case 'ready':
      return handlers.ready({});
    case 'stop': {
      const { params } = request;
      const force = typeof params === 'object' && params !== null && (params as { force?: unknown }).force === true;
      return handlers.stop({ force });
    }
    default:
      throw new RosettaVmError('E_PROTOCOL', {
        what: `The host process does not know the request ${JSON.stringify(request?.method ?? null)}.`,
        why: `It runs version ${version} of rosetta-vm.`,
        fix: 'Restart the machine with `rosetta-vm down` and `rosetta-vm up` after an upgrade.',
      });
  }
}
