/** A connected stream to a unix socket. */
import { once } from 'node:events';
import net from 'node:net';

/** Half-open: each direction ends on its own, as forwards need. Rejects with the system's error (ENOENT, ECONNREFUSED, …). */
export async function connectUnix(path: string): Promise<net.Socket> {
  const socket = net.connect({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}
