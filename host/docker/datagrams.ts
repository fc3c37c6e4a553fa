/** A UDP port of this computer whose datagrams go into the guest, and whose answers come back to who asked. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import {
  DatagramDecoder,
  MAX_SESSIONS,
  MAX_WAITING_BYTES,
  SESSION_IDLE_MS,
  sendDatagram,
} from '../../guest/datagram-frames.ts';
import { Recent } from '../../guest/recent.ts';
import type { Listener } from '../channel/proxy.ts';

/** Datagrams that wait for the stream to open; who sends more before an answer sends them again. */
const MAX_EARLY_DATAGRAMS = 64;

interface Peer {
  readonly session: number;
  readonly address: string;
  readonly port: number;
}

/**
 * Listens. `connect` opens a stream of datagrams (guest/datagram-frames.ts) and is called with the first datagram, and
 * again when the stream was lost: what comes meanwhile may be lost too, as with any network. Throws the system's error
 * (EADDRINUSE, EACCES, …).
 */
export async function listenForDatagrams(
  where: { readonly host: string; readonly port: number },
  connect: () => Promise<Duplex>,
): Promise<Listener> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ address: where.host, port: where.port, exclusive: true });
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  return new DatagramRelay(socket, connect);
}

class DatagramRelay implements Listener {
  readonly #socket: Socket;
  readonly #connect: () => Promise<Duplex>;
  readonly #peers: Recent<string, Peer>;
  readonly #bySession = new Map<number, Peer>();
  #lastSession = 0;
  #stream: Duplex | null = null;
  #connecting = false;
  #closed = false;
  readonly #early: { readonly session: number; readonly payload: Buffer }[] = [];

  constructor(socket: Socket, connect: () => Promise<Duplex>) {
    this.#socket = socket;
    this.#connect = connect;
    this.#peers = new Recent({
      limit: MAX_SESSIONS,
      idleMs: SESSION_IDLE_MS,
      onGone: ({ session }) => this.#bySession.delete(session),
    });
    socket.on('message', (payload, from) => this.#take(payload, from));
    // What cannot be received is lost; the next datagram may be had.
    socket.on('error', () => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    this.#peers.clear();
    this.#stream?.destroy();
    await closed;
  }

  #take(payload: Buffer, { address, port }: RemoteInfo): void {
    const { session } = this.#peers.use(`${address}:${port}`, () => this.#begin(address, port));
    if (this.#stream !== null) {
      sendDatagram(this.#stream, { session, payload });
      return;
    }
    if (this.#early.length < MAX_EARLY_DATAGRAMS) this.#early.push({ session, payload });
    if (!this.#connecting) void this.#open();
  }

  #begin(address: string, port: number): Peer {
    this.#lastSession = (this.#lastSession + 1) >>> 0;
    const peer = { session: this.#lastSession, address, port };
    this.#bySession.set(peer.session, peer);
    return peer;
  }

  async #open(): Promise<void> {
    this.#connecting = true;
    try {
      const stream = await this.#connect();
      if (this.#closed) stream.destroy();
      else this.#join(stream);
    } catch {
      // The guest's agent does not answer: the next datagram tries again.
    } finally {
      this.#connecting = false;
      this.#early.length = 0;
    }
  }

  #join(stream: Duplex): void {
    const decoder = new DatagramDecoder();
    stream.on('error', () => {});
    stream.on('close', () => {
      if (this.#stream === stream) this.#stream = null;
    });
    stream.on('end', () => stream.destroy());
    stream.on('data', (piece: Buffer) => {
      try {
        for (const { session, payload } of decoder.push(piece)) this.#answer(session, payload);
      } catch {
        stream.destroy();
      }
    });
    this.#stream = stream;
    for (const datagram of this.#early) sendDatagram(stream, datagram);
  }

  #answer(session: number, payload: Buffer): void {
    const peer = this.#bySession.get(session);
    if (peer === undefined || this.#closed || this.#socket.getSendQueueSize() > MAX_WAITING_BYTES) return;
    const { address, port } = this.#peers.use(`${peer.address}:${peer.port}`, () => peer);
    this.#socket.send(payload, port, address, () => {});
  }
}
