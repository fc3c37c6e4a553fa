/** Joins a stream of datagrams (datagram-frames.ts) to a UDP port of the guest: one socket for each peer on the host. */
import { createSocket, type Socket } from 'node:dgram';
import { finished } from 'node:stream/promises';
import { DatagramDecoder, MAX_SESSIONS, MAX_WAITING_BYTES, SESSION_IDLE_MS, sendDatagram } from '../datagram-frames.ts';
import { Recent } from '../recent.ts';
import type { UpgradeCall } from './server.ts';

const LOOPBACK = '127.0.0.1';

/** Serves one port until the host ends the stream. Whether anything listens there cannot be known with UDP. */
export async function forwardDatagrams(call: UpgradeCall, port: number): Promise<void> {
  const stream = call.accept();
  const sockets = new Recent<number, Socket>({
    limit: MAX_SESSIONS,
    idleMs: SESSION_IDLE_MS,
    onGone: (socket) => socket.close(),
  });
  const open = (session: number): Socket => {
    const socket = createSocket('udp4');
    socket.on('message', (payload, from) => {
      // Others in the guest may send to it as well.
      if (from.address !== LOOPBACK || from.port !== port) return;
      sockets.use(session, () => socket);
      sendDatagram(stream, { session, payload });
    });
    // Too many open files, say: its datagrams are lost, and the next one tries again.
    socket.on('error', () => sockets.remove(session));
    socket.bind({ address: LOOPBACK });
    return socket;
  };
  const decoder = new DatagramDecoder();
  stream.on('data', (piece: Buffer) => {
    try {
      for (const { session, payload } of decoder.push(piece)) {
        const socket = sockets.use(session, () => open(session));
        if (socket.getSendQueueSize() < MAX_WAITING_BYTES) socket.send(payload, port, LOOPBACK, () => {});
      }
    } catch {
      stream.destroy();
    }
  });
  await finished(stream, { writable: false }).catch(() => {});
  sockets.clear();
  stream.end();
}
