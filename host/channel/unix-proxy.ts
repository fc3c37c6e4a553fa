/** A unix socket of the host whose connections are joined to streams that somebody else opens. */
import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { checkSocketPath } from '../plan/make-plan.ts';
import { freeSocketPath } from '../process/unix-socket.ts';
import { type Listener, listenAndJoin } from './proxy.ts';

export interface UnixProxy extends Listener {
  readonly path: string;
}

export interface UnixProxyOptions {
  /** The socket gets mode 0600, its folder 0700 when it is made. A stale socket there is replaced. */
  readonly path: string;
  readonly connect: () => Promise<Duplex>;
}

/** Listens; closing removes the socket. Throws `E_ADDRESS_IN_USE` or `E_PATH_TOO_LONG`. A connection that fails ends alone. */
export async function proxyUnixSocket(options: UnixProxyOptions): Promise<UnixProxy> {
  checkSocketPath(options.path);
  await mkdir(path.dirname(options.path), { recursive: true, mode: 0o700 });
  await freeSocketPath(options.path);
  const proxy = await listenAndJoin({ path: options.path }, options.connect);
  await chmod(options.path, 0o600);
  return { path: options.path, close: proxy.close };
}
