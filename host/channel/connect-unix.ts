/** A connected stream to a unix socket. */
import { once } from 'node:events';
import net from 'node:net';

/** Rejects with the system's error (ENOENT, ECONNREFUSED, …). */
export async function connectUnix(path: string): Promise<net.Socket> {
  const socket = net.connect(path);
  await once(socket, 'connect');
  return socket;
}
