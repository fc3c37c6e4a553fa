import { once } from 'node:events';
import { createServer as createHttpServer, get, type ServerResponse } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, vi } from 'vitest';
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

/** An agent whose guest is this host: its Docker is the fake, its ports are shifted to where `servers` listen. */
function agentOf(docker: FakeDocker, servers: ReadonlyMap<number, number> = new Map()): AgentClient {
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
  return { forward } as Partial<AgentClient> as AgentClient;
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
  await becomes(ports, [{ port, problem: null }]);

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
  await becomes(follow(agentOf(docker)), [{ port, problem: null }]);
});

test('only TCP is forwarded', async () => {
  const docker = await fakeDocker();
  const [udp, tcp] = [await freePort(), await freePort()];
  const ports = follow(agentOf(docker));
  docker.type = 'udp';
  docker.publish(udp);
  docker.type = 'tcp';
  docker.publish(tcp);
  await becomes(ports, [{ port: tcp, problem: null }]);
});

test('a port that another program has is named as a problem, and taken once it is free', async () => {
  const docker = await fakeDocker();
  const other = createServer();
  const port = await listenAnywhere(other);
  const ports = follow(agentOf(docker));
  docker.publish(port);
  await becomes(ports, [{ port, problem: 'another program of this computer has it' }]);
  other.close();
  docker.publish(port);
  await becomes(ports, [{ port, problem: null }]);
});

test('ports stay open while Docker restarts, and are right again afterwards', async () => {
  const docker = await fakeDocker();
  const [before, after] = [await freePort(), await freePort()];
  const ports = follow(agentOf(docker));
  docker.publish(before);
  await becomes(ports, [{ port: before, problem: null }]);
  await docker.stop();
  expect(ports.list()).toEqual([{ port: before, problem: null }]);
  const next = new FakeDocker(docker.socket);
  next.publish(after);
  await next.start();
  onTestFinished(() => next.stop());
  await becomes(ports, [{ port: after, problem: null }]);
});

test('closing ends the listeners and the wait for Docker', async () => {
  const docker = await fakeDocker();
  const port = await freePort();
  const ports = new PublishedPorts(agentOf(docker));
  ports.start();
  docker.publish(port);
  await becomes(ports, [{ port, problem: null }]);
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
