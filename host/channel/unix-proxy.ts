/** A unix socket of the host whose connections are joined to streams that somebody else opens. */
import { once } from 'node:events';
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkSocketPath } from '../plan/make-plan.ts';
import { freeSocketPath } from '../process/unix-socket.ts';

/** A build runs dozens of connections; thousands are a runaway client. */
const MAX_CONNECTIONS = 1024;

export interface UnixProxy {
  readonly path: string;
  /** Stops listening, ends every connection, removes the socket. */
  close(): Promise<void>;
}

export interface UnixProxyOptions {
  /** The socket gets mode 0600, its folder 0700 when it is made. A stale socket there is replaced. */
  readonly path: string;
  readonly connect: () => Promise<Duplex>;
}

/** Listens. Throws `E_ADDRESS_IN_USE` or `E_PATH_TOO_LONG`. A connection that fails ends alone. */
export async function proxyUnixSocket(options: UnixProxyOptions): Promise<UnixProxy> {
  checkSocketPath(options.path);
  await mkdir(path.dirname(options.path), { recursive: true, mode: 0o700 });
  await freeSocketPath(options.path);
  const open = new Set<Duplex>();
  const track = (stream: Duplex): void => {
    open.add(stream);
    stream.on('error', () => {});
    stream.on('close', () => open.delete(stream));
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client: Socket) => {
    track(client);
    options.connect().then(
      (target) => {
        track(target);
        if (client.destroyed || !server.listening) {
          client.destroy();
          target.destroy();
        } else void join(client, target);
      },
      () => client.destroy(),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(options.path);
  await once(server, 'listening');
  await chmod(options.path, 0o600);
  return {
    path: options.path,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const stream of open) stream.destroy();
      await closed;
    },
  };
}

/** Copies both ways with backpressure; an end is passed on by itself, an error ends both. */
async function join(client: Duplex, target: Duplex): Promise<void> {
  const broken = new AbortController();
  const copy = (from: Duplex, to: Duplex): Promise<void> =>
    pipeline(from, to, { signal: broken.signal }).catch(() => broken.abort());
  await Promise.all([copy(client, target), copy(target, client)]);
}
