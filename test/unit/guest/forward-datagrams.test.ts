/** The agent's end of a forwarded UDP port, on this host's loopback interface. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Datagram, DatagramDecoder, encodeDatagram, MAX_SESSIONS } from '../../../guest/datagram-frames.ts';
import { DATAGRAM_UPGRADE } from '../../../guest/protocol.ts';
import { startTestAgent, type TestAgent, upgrade } from './agent-harness.ts';

const PATIENCE = { timeout: 10_000, interval: 20 };

let agent: TestAgent;
beforeAll(async () => {
  agent = await startTestAgent();
});
afterAll(() => agent[Symbol.asyncDispose]());

/** Answers each datagram with it and the port that it came from. */
async function echoServer(): Promise<{ readonly port: number; readonly socket: Socket; readonly peers: Set<number> }> {
  const socket = createSocket('udp4');
  const peers = new Set<number>();
  socket.on('message', (payload, { port }) => {
    peers.add(port);
    socket.send(Buffer.concat([payload, Buffer.from(` ${port}`)]), port, '127.0.0.1');
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return { port: socket.address().port, socket, peers };
}

interface Joined {
  readonly received: Datagram[];
  send(session: number, text: string): void;
  readonly stream: Duplex;
}

async function join(port: number): Promise<Joined> {
  const stream = await upgrade(agent.settings.socket, `/v1/forward?port=${port}`, DATAGRAM_UPGRADE);
  onTestFinished(() => void stream.destroy());
  const decoder = new DatagramDecoder();
  const received: Datagram[] = [];
  stream.on('data', (piece: Buffer) => received.push(...decoder.push(piece)));
  const send = (session: number, text: string): void =>
    void stream.write(encodeDatagram({ session, payload: Buffer.from(text) }));
  return { received, send, stream };
}

const texts = ({ received }: Joined): string[] =>
  received.map(({ session, payload }) => `${session}: ${payload.toString().replace(/ \d+$/, '')}`).sort();

describe('a forwarded UDP port', () => {
  it('keeps the peers of the host apart, and a peer the port that it has', async () => {
    const server = await echoServer();
    const joined = await join(server.port);
    joined.send(7, 'one');
    joined.send(8, 'two');
    joined.send(7, 'three');
    await vi.waitFor(() => expect(texts(joined)).toEqual(['7: one', '7: three', '8: two']), PATIENCE);
    expect(server.peers.size).toBe(2);
  });

  it('carries datagrams of every size', async () => {
    const server = await echoServer();
    const joined = await join(server.port);
    joined.send(1, '');
    joined.send(1, 'x'.repeat(60_000));
    await vi.waitFor(() => expect(joined.received).toHaveLength(2), PATIENCE);
    expect(texts(joined).map((text) => text.length)).toEqual([3, 60_003]);
  });

  it('loses what nobody listens for, and is there when somebody does', async () => {
    const gone = createSocket('udp4').bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    gone.close();
    const joined = await join(port);
    joined.send(1, 'lost');
    const late = createSocket('udp4');
    onTestFinished(() => void late.close());
    late.bind(port, '127.0.0.1');
    await once(late, 'listening');
    const arrived = once(late, 'message');
    // What was lost may not have been sent yet; so this is the one that surely comes after it.
    joined.send(1, 'heard');
    const [payload] = await arrived;
    expect(['lost', 'heard']).toContain(String(payload));
  });

  it('takes no answers of others', async () => {
    const server = await echoServer();
    const joined = await join(server.port);
    joined.send(1, 'ask');
    await vi.waitFor(() => expect(joined.received).toHaveLength(1), PATIENCE);
    const [peer = 0] = server.peers;
    const stranger = createSocket('udp4');
    onTestFinished(() => void stranger.close());
    await new Promise<void>((resolve) => stranger.send('not asked for', peer, '127.0.0.1', () => resolve()));
    joined.send(1, 'ask again');
    await vi.waitFor(() => expect(texts(joined)).toEqual(['1: ask', '1: ask again']), PATIENCE);
  });

  it('serves so many peers at once and no more: the one that was silent for longest begins anew', async () => {
    const server = await echoServer();
    const joined = await join(server.port);
    for (let session = 0; session <= MAX_SESSIONS; session += 1) {
      joined.send(session, 'hello');
      await vi.waitFor(() => expect(joined.received).toHaveLength(session + 1), PATIENCE);
    }
    joined.send(MAX_SESSIONS, 'again');
    joined.send(0, 'again');
    await vi.waitFor(() => expect(joined.received).toHaveLength(MAX_SESSIONS + 3), PATIENCE);
    const ports = (session: number): Set<string | undefined> =>
      new Set(joined.received.filter((one) => one.session === session).map((one) => String(one.payload).split(' ')[1]));
    expect([ports(0).size, ports(MAX_SESSIONS).size]).toEqual([2, 1]);
  });

  it('ends with what is no datagram', async () => {
    const joined = await join((await echoServer()).port);
    const closed = once(joined.stream, 'close').catch(() => {});
    joined.stream.on('error', () => {});
    joined.stream.write(Buffer.alloc(6, 0xff));
    await closed;
    expect(joined.stream.destroyed).toBe(true);
  });

  it.each(['', '?port=0', '?port=65536', '?port=x', '?path=/run/docker.sock'])(
    'is not asked for by “%s”',
    async (query) => {
      const refused = upgrade(agent.settings.socket, `/v1/forward${query}`, DATAGRAM_UPGRADE);
      await expect(refused).rejects.toMatchObject({ status: 400 });
    },
  );
});
