/** A listener whose connections are joined to streams that somebody else opens. */
import { once } from 'node:events';
import { createServer, type ListenOptions, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A build runs dozens of connections; thousands are a runaway client. */
const MAX_CONNECTIONS = 1024;

export interface Listener {
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/** Listens. Throws the system's error (EADDRINUSE, EACCES, …). A connection that fails ends alone. */
export async function listenAndJoin(where: ListenOptions, connect: () => Promise<Duplex>): Promise<Listener> {
  const open = new Set<Duplex>();
  const track = (stream: Duplex): void => {
    open.add(stream);
    stream.on('error', () => {});
    stream.on('close', () => open.delete(stream));
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client: Socket) => {
    track(client);
    connect().then(
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
  server.listen(where);
  await once(server, 'listening');
  return {
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
