/** Joins a connection to a unix socket or a TCP port of the guest: raw bytes, each direction ends on its own. */
import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { RosettaVmError } from '../../host/errors.ts';
import type { ForwardTarget } from './requests.ts';
import type { UpgradeCall } from './server.ts';

/** Longest path that connect(2) takes (unix(7): sun_path has 108 bytes with its end). */
const MAX_SOCKET_PATH_BYTES = 107;

/** Serves one forward. Throws `E_NOT_FOUND` before the switch when nothing listens at the target. */
export async function forward(call: UpgradeCall, to: ForwardTarget): Promise<void> {
  const target = await connectTo(to);
  const stream = call.accept();
  const broken = new AbortController();
  const join = (from: typeof stream, to: typeof stream): Promise<void> =>
    pipeline(from, to, { signal: broken.signal }).catch(() => broken.abort());
  await Promise.all([join(stream, target), join(target, stream)]);
}

function connectTo(to: ForwardTarget): Promise<Socket> {
  const place = 'path' in to ? to.path : `port ${to.port}`;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(
        new RosettaVmError('E_NOT_FOUND', {
          what: `Nothing answers at ${place} in the guest.`,
          why: error.message,
          fix: 'Check that the service runs: `rosetta-vm status`.',
          facts: to,
          cause: error,
        }),
      );
    if ('path' in to && Buffer.byteLength(to.path) > MAX_SOCKET_PATH_BYTES) {
      fail(new Error(`The path is longer than ${MAX_SOCKET_PATH_BYTES} bytes.`));
      return;
    }
    const socket = connect({ ...('path' in to ? to : { host: '127.0.0.1', port: to.port }), allowHalfOpen: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
