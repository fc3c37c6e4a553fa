import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, get, type ServerResponse } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Datagram, DatagramDecoder, encodeDatagram, MAX_SESSIONS } from '../../../guest/datagram-frames.ts';
import type { AgentClient } from '../../../host/channel/agent-client.ts';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { PublishedPorts } from '../../../host/docker/ports.ts';
import { forwardDocker } from '../../../host/docker/socket.ts';
import { RosettaVmError } from '../../../host/errors.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const PATIENCE = { timeout: 10_000, interval: 20 };

/** Docker's side of the story: a list of containers, and events when it changes. */
class FakeDocker {
  readonly socket: string;
  published: (number | undefined)[] = [];
  type = 'tcp';
  readonly #listeners = new Set<ServerResponse>();
  readonly #server = createHttpServer((request, response) => {
    if (request.url === '/containers/json') {
      const ports = this.published.map((PublicPort) => ({ PrivatePort: 80, PublicPort, Type: this.type }));
      response.end(
        JSON.stringify([
          { Id: 'a', Ports: ports },
          { Id: 'b', Ports: null },
        ]),
      );
    } else {
      response.flushHeaders();
      this.#listeners.add(response);
    }
  });

  constructor(socket: string) {
    this.socket = socket;
  }

  async start(): Promise<void> {
    this.#server.listen(this.socket);
    await once(this.#server, 'listening');
  }

  publish(...ports: (number | undefined)[]): void {
    this.published = ports;
    for (const listener of this.#listeners) listener.write('{"Type":"container","Action":"start"}\n');
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/**
 * An agent whose guest is this host: its Docker is the fake, its TCP ports are shifted to where `servers` listen, and
 * `datagrams` opens the streams of its UDP ports.
 */
function agentOf(
  docker: FakeDocker,
  servers: ReadonlyMap<number, number> = new Map(),
  datagrams: () => Promise<Duplex> = () => Promise.reject(new Error('not in this test')),
): AgentClient {
  const forward: AgentClient['forward'] = async (target) => {
    if ('path' in target) {
      return await connectUnix(docker.socket).catch((error: Error) => {
        throw new RosettaVmError('E_NOT_FOUND', { what: 'Nothing answers.', why: error.message, fix: 'Wait.' });
      });
    }
    const socket = connect({ port: servers.get(target.port) ?? 1, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  };
  return { forward, forwardDatagrams: datagrams } as Partial<AgentClient> as AgentClient;
}

async function fakeDocker(): Promise<FakeDocker> {
  const docker = new FakeDocker(path.join(await temporaryFolder(), 'docker.sock'));
  await docker.start();
  onTestFinished(() => docker.stop().catch(() => {}));
  return docker;
}

async function listenAnywhere(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenAnywhere(server);
  server.close();
  await once(server, 'close');
  return port;
}

function follow(agent: AgentClient): PublishedPorts {
  const ports = new PublishedPorts(agent);
  ports.start();
  onTestFinished(() => ports.close());
  return ports;
}

const becomes = (ports: PublishedPorts, expected: unknown): Promise<void> =>
  vi.waitFor(() => expect(ports.list()).toEqual(expected), PATIENCE);

test('a published port is listened for while its container runs, and leads into the guest', async () => {
  const docker = await fakeDocker();
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const [inGuest, port] = [await listenAnywhere(echo), await freePort()];
  const ports = follow(agentOf(docker, new Map([[port, inGuest]])));
  await becomes(ports, []);
  docker.publish(port, undefined);
  await becomes(ports, [{ protocol: 'tcp', port, problem: null }]);

  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end('there and back');
  expect(await text(client)).toBe('there and back');

  docker.publish();
  await becomes(ports, []);
  const [error] = await once(connect(port, '127.0.0.1'), 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

test('what ran already when the host process came is listened for too', async () => {
  const docker = await fakeDocker();
  const port = await freePort();
  docker.publish(port);
  await becomes(follow(agentOf(docker)), [{ protocol: 'tcp', port, problem: null }]);
});

test('what is neither TCP nor UDP is not forwarded', async () => {
  const docker = await fakeDocker();
  const [sctp, tcp] = [await freePort(), await freePort()];
  const ports = follow(agentOf(docker));
  docker.type = 'sctp';
  docker.publish(sctp);
  docker.type = 'tcp';
  docker.publish(tcp);
  await becomes(ports, [{ protocol: 'tcp', port: tcp, problem: null }]);
});

/** The guest's end of a stream of datagrams: what came, and what `reply` says to it. */
class FakeGuest {
  readonly received: Datagram[] = [];
  streams: Duplex[] = [];
  reply: (datagram: Datagram) => Datagram[] = (datagram) => [datagram];

  readonly open = async (): Promise<Duplex> => {
    const decoder = new DatagramDecoder();
    const stream: Duplex = new Duplex({
      read() {},
      write: (piece: Buffer, _encoding, done) => {
        for (const datagram of decoder.push(piece)) {
          this.received.push(datagram);
          for (const answer of this.reply(datagram)) stream.push(encodeDatagram(answer));
        }
        done();
      },
    });
    this.streams.push(stream);
    return stream;
  };
}

/** A published UDP port; `ask` sends a text from a peer and resolves to what comes back. */
async function udpPort(guest: FakeGuest) {
  const docker = await fakeDocker();
  docker.type = 'udp';
  const port = await freePort();
  docker.publish(port);
  const ports = follow(agentOf(docker, new Map(), guest.open));
  await becomes(ports, [{ protocol: 'udp', port, problem: null }]);
  const peer = (): Socket => {
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    return socket;
  };
  const ask = async (socket: Socket, what: string): Promise<string> => {
    const answer = once(socket, 'message');
    socket.send(what, port, '127.0.0.1');
    return String((await answer)[0]);
  };
  return { docker, port, ports, peer, ask };
}

test('a published UDP port carries datagrams both ways, each to its own peer', async () => {
  const guest = new FakeGuest();
  const { peer, ask } = await udpPort(guest);
  const [one, other] = [peer(), peer()];
  expect(await Promise.all([ask(one, 'from one'), ask(other, 'from the other')])).toEqual([
    'from one',
    'from the other',
  ]);
  expect(await ask(one, '')).toBe('');
  expect(await ask(one, 'x'.repeat(60_000))).toHaveLength(60_000);
  const sessions = new Set(guest.received.map(({ session }) => session));
  expect([sessions.size, guest.streams.length]).toEqual([2, 1]);
});

test('a UDP port whose stream was lost opens another with the next datagram', async () => {
  const guest = new FakeGuest();
  const { peer, ask } = await udpPort(guest);
  const socket = peer();
  await ask(socket, 'before');
  const lost = guest.streams[0] as Duplex;
  const closed = new Promise((resolve) => lost.once('close', resolve));
  lost.destroy(new Error('lost'));
  await closed;
  expect(await ask(socket, 'after')).toBe('after');
  expect(guest.streams).toHaveLength(2);
});

test('a UDP port answers no session that nobody has, and ends a stream that is none', async () => {
  const guest = new FakeGuest();
  const { peer, ask } = await udpPort(guest);
  guest.reply = (datagram) => [{ session: 4_000_000_000, payload: Buffer.from('to nobody') }, datagram];
  const socket = peer();
  expect(await ask(socket, 'mine')).toBe('mine');
  guest.streams[0]?.push(Buffer.alloc(6, 0xff));
  await once(guest.streams[0] as Duplex, 'close');
});

test('a UDP port remembers so many peers and no more', async () => {
  const guest = new FakeGuest();
  const { peer, ask } = await udpPort(guest);
  const first = peer();
  await ask(first, 'first');
  for (let i = 0; i < MAX_SESSIONS; i += 1) await ask(peer(), `${i}`);
  // Forgotten by now, so that it is another session; an answer to the old one has no way back.
  await ask(first, 'again');
  const sessions = guest.received.filter(({ payload }) => ['first', 'again'].includes(String(payload)));
  expect(new Set(sessions.map(({ session }) => session)).size).toBe(2);
});

test('TCP and UDP of one port are two, and a UDP port that another program has is a problem', async () => {
  const other = createSocket('udp4').bind(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address();
  const docker = await fakeDocker();
  const ports = follow(agentOf(docker));
  docker.type = 'udp';
  docker.publish(port);
  const problem = 'another program of this computer has it';
  await becomes(ports, [{ protocol: 'udp', port, problem }]);
  docker.type = 'tcp';
  docker.publish(port);
  await becomes(ports, [{ protocol: 'tcp', port, problem: null }]);
  other.close();
  docker.type = 'udp';
  docker.publish(port);
  await becomes(ports, [{ protocol: 'udp', port, problem: null }]);
});

test('a port that another program has is named as a problem, and taken once it is free', async () => {
  const docker = await fakeDocker();
  const other = createServer();
  const port = await listenAnywhere(other);
  const ports = follow(agentOf(docker));
  docker.publish(port);
  await becomes(ports, [{ protocol: 'tcp', port, problem: 'another program of this computer has it' }]);
  other.close();
  docker.publish(port);
  await becomes(ports, [{ protocol: 'tcp', port, problem: null }]);
});

test('ports stay open while Docker restarts, and are right again afterwards', async () => {
  const docker = await fakeDocker();
  const [before, after] = [await freePort(), await freePort()];
  const ports = follow(agentOf(docker));
  docker.publish(before);
  await becomes(ports, [{ protocol: 'tcp', port: before, problem: null }]);
  await docker.stop();
  expect(ports.list()).toEqual([{ protocol: 'tcp', port: before, problem: null }]);
  const next = new FakeDocker(docker.socket);
  next.publish(after);
  await next.start();
  onTestFinished(() => next.stop());
  await becomes(ports, [{ protocol: 'tcp', port: after, problem: null }]);
});

test('closing ends the listeners and the wait for Docker', async () => {
  const docker = await fakeDocker();
  const port = await freePort();
  const ports = new PublishedPorts(agentOf(docker));
  ports.start();
  docker.publish(port);
  await becomes(ports, [{ protocol: 'tcp', port, problem: null }]);
  await ports.close();
  const [error] = await once(connect(port, '127.0.0.1'), 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

test('a Docker that is not there is an answer in Docker’s own form, not an end of file', async () => {
  const folder = await temporaryFolder();
  const docker = new FakeDocker(path.join(folder, 'nobody.sock'));
  const proxy = await forwardDocker('ci', path.join(folder, 'docker.sock'), agentOf(docker));
  onTestFinished(() => proxy.close());
  const asked = get({ socketPath: proxy.path, path: '/v1.45/containers/json', agent: false });
  const [answer] = await once(asked, 'response');
  expect(answer.statusCode).toBe(503);
  const { message } = JSON.parse(await text(answer)) as { message: string };
  expect(message).toMatch(/^Docker in the machine ci does not answer .*`rosetta-vm status ci`/);
});

test('a client that says nothing to a Docker that is not there is let go', async () => {
  const folder = await temporaryFolder();
  const docker = new FakeDocker(path.join(folder, 'nobody.sock'));
  const proxy = await forwardDocker('ci', path.join(folder, 'docker.sock'), agentOf(docker));
  onTestFinished(() => proxy.close());
  const client = await connectUnix(proxy.path);
  client.end();
  expect(await text(client)).toBe('');
});
