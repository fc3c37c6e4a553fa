/** The client against the real agent, which runs on this host, and against agents that misbehave. */
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { encodeFrame } from '../../../guest/exec-frames.ts';
import { linkStream } from '../../../guest/link.ts';
import { type ExecRequest, FrameType } from '../../../guest/protocol.ts';
import { type AgentClient, agentClient, waitForAgent } from '../../../host/channel/agent-client.ts';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { startTestAgent, TOKEN } from '../guest/agent-harness.ts';
import { temporaryFolder } from '../machine/temporary.ts';

async function realAgent(): Promise<{ client: AgentClient; socket: string; directory: string; powerCalls: string[] }> {
  const agent = await startTestAgent();
  onTestFinished(() => agent[Symbol.asyncDispose]());
  const { socket } = agent.settings;
  const client = agentClient({ connect: () => connectUnix(socket), token: TOKEN });
  return { client, socket, directory: agent.directory, powerCalls: agent.powerCalls };
}

/** An agent whose every answer is the listener's. */
async function agentThat(answers: RequestListener): Promise<AgentClient> {
  const server = createHttpServer(answers);
  return await clientOf((connection) => server.emit('connection', linkStream(connection)));
}

async function clientOf(serve: (connection: Socket) => void): Promise<AgentClient> {
  const socket = path.join(await temporaryFolder(), 'agent.sock');
  const server = await listen(socket, (connection) => {
    connection.on('error', () => {});
    onTestFinished(() => void connection.destroy());
    serve(connection);
  });
  onTestFinished(() => void server.close());
  return agentClient({ connect: () => connectUnix(socket), token: TOKEN });
}

async function listen(socket: string, serve: (connection: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, serve).listen(socket);
  await once(server, 'listening');
  return server;
}

const run = (argv: readonly string[], more: Partial<ExecRequest> = {}): ExecRequest => ({
  argv,
  stdin: false,
  ...more,
});

test('health and cache statistics of the real agent pass the checks', async () => {
  const { client } = await realAgent();
  expect(await client.health()).toMatchObject({ protocol: 1, machine: 'test' });
  expect(await client.cacheStats()).toMatchObject({ entries: 0 });
});

test('shutdown and restart are passed on', async () => {
  const { client, powerCalls } = await realAgent();
  await client.shutdown();
  await client.restart();
  await expect.poll(() => powerCalls).toEqual(['off', 'restart']);
});

test('the log is read line by line, and following it ends with the signal', async () => {
  const { client } = await realAgent();
  const lines = [];
  for await (const line of client.logs()) lines.push(line);
  expect(lines.length).toBeGreaterThan(0);

  const abort = new AbortController();
  const follow = async (): Promise<void> => {
    for await (const _line of client.logs({ follow: true, signal: abort.signal })) abort.abort();
  };
  await expect(follow()).rejects.toMatchObject({ code: 'E_ABORTED' });
});

test('a program’s streams stay apart, and its exit status comes last', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['sh', '-c', 'cat; echo problem >&2; exit 3'], { stdin: true }));
  session.stdin.end('hello');
  const [stdout, stderr, exit] = await Promise.all([text(session.stdout), text(session.stderr), session.exit]);
  expect({ stdout, stderr, exit }).toEqual({
    stdout: 'hello',
    stderr: 'problem\n',
    exit: { code: 3, signal: null },
  });
});

test('eight megabytes come back whole through a reader that is slow to begin', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['cat'], { stdin: true }));
  const sent = Buffer.alloc(8 * 1024 * 1024, 'abcdefg');
  session.stdin.end(sent);
  await new Promise((resolve) => setTimeout(resolve, 200));
  session.stderr.resume();
  expect((await buffer(session.stdout)).equals(sent)).toBe(true);
  expect(await session.exit).toEqual({ code: 0, signal: null });
});

test('input that the program never reads is dropped, not an error', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['true'], { stdin: true }));
  expect(await session.exit).toEqual({ code: 0, signal: null });
  session.stdin.end(Buffer.alloc(1024 * 1024));
  await once(session.stdin, 'finish');
});

test('a signal reaches the program', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['sh', '-c', 'echo ready; exec sleep 60']));
  session.stderr.resume();
  await once(session.stdout, 'data');
  session.signal('SIGTERM');
  expect(await session.exit).toEqual({ code: null, signal: 'SIGTERM' });
});

test('a program that is not there is an exit status with its reason', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['/no/such/program']));
  expect(await session.exit).toMatchObject({ code: 127, error: expect.any(String) });
});

test('a session that is closed ends the program and says that it was lost', async () => {
  const { client } = await realAgent();
  const session = await client.exec(run(['sleep', '60']));
  session.close();
  await expect(session.exit).rejects.toMatchObject({ code: 'E_VM_FAILED' });
});

test('a command that is too long is refused before it is sent', async () => {
  const { client } = await realAgent();
  await expect(client.exec(run(['echo', 'x'.repeat(400_000)]))).rejects.toMatchObject({ code: 'E_SIZE' });
});

test('a forward is the other socket’s stream, with its half-close', async () => {
  const { client, directory } = await realAgent();
  const target = path.join(directory, 'target.sock');
  const server = await listen(target, (connection) => {
    let heard = '';
    connection.on('data', (chunk: Buffer) => {
      heard += chunk.toString('utf8');
    });
    connection.on('end', () => connection.end(`heard ${heard}`));
  });
  onTestFinished(() => void server.close());
  const stream: Duplex = await client.forward({ path: target });
  stream.end('all of it');
  expect(await text(stream)).toBe('heard all of it');
});

test('the agent’s own errors keep their code and their words', async () => {
  const { client, socket } = await realAgent();
  await expect(client.forward({ path: '/no/such/socket' })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    what: /no.such.socket/,
  });
  const stranger = agentClient({ connect: () => connectUnix(socket), token: '0'.repeat(64) });
  await expect(stranger.health()).rejects.toMatchObject({ what: 'The agent did not accept the request.' });
});

test.each<[string, RequestListener]>([
  ['is not JSON', (_request, response) => response.end('<html>')],
  ['has the wrong shape', (_request, response) => response.end('{"protocol": "1"}')],
  ['is an error without a reason', (_request, response) => response.writeHead(500).end('{}')],
  ['does not end', (_request, response) => void new PassThrough().end(Buffer.alloc(17 << 20, 0x20)).pipe(response)],
])('an answer that %s is a broken protocol', async (_what, listener) => {
  const client = await agentThat(listener);
  await expect(client.health()).rejects.toMatchObject({ code: 'E_PROTOCOL' });
});

test('an error code that this version does not know is the agent’s error', async () => {
  const error = { code: 'E_FROM_THE_FUTURE', what: 'a', why: 'b', fix: 'c' };
  const client = await agentThat((_request, response) => response.writeHead(500).end(JSON.stringify({ error })));
  await expect(client.health()).rejects.toMatchObject({
    code: 'E_AGENT',
    what: 'a',
    facts: { agentCode: 'E_FROM_THE_FUTURE', status: 500 },
  });
});

test('a connection that is lost half way is a failure of the machine', async () => {
  const client = await agentThat((request, response) => {
    response.writeHead(200, { 'Content-Length': 100 }).write('{');
    setTimeout(() => request.socket.destroy(), 20);
  });
  await expect(client.health()).rejects.toMatchObject({ code: 'E_VM_FAILED' });
});

test('silence ends with the limit, also while the connection is being made', async () => {
  const silent = await agentThat(() => {});
  await expect(silent.health({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_TIMEOUT', facts: { limitMs: 50 } });
  const unconnected = agentClient({ connect: () => new Promise(() => {}), token: TOKEN });
  await expect(unconnected.health({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'E_TIMEOUT' });
});

test('a signal ends a call', async () => {
  const client = await agentThat(() => {});
  const abort = new AbortController();
  const call = client.health({ signal: abort.signal });
  abort.abort();
  await expect(call).rejects.toMatchObject({ code: 'E_ABORTED' });
  await expect(client.health({ signal: abort.signal })).rejects.toMatchObject({ code: 'E_ABORTED' });
});

test.each([
  ['a frame that only the host sends', encodeFrame(FrameType.stdin, 'x')],
  ['a frame of an unknown type', Buffer.from([99, 0, 0, 0, 0])],
  ['an exit status that is none', encodeFrame(FrameType.exit, '{"code": 1000}')],
])('%s ends the session', async (_what, frame) => {
  const client = await clientOf((connection) => {
    const stream = linkStream(connection);
    stream.once('data', () => {
      stream.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: rosetta-vm-exec\r\n\r\n');
      stream.write(frame);
    });
    stream.on('error', () => {});
  });
  const session = await client.exec(run(['true']));
  await expect(session.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' });
  await expect(text(session.stdout)).rejects.toMatchObject({ code: 'E_PROTOCOL' });
});

test('waiting for the agent goes on while nobody answers, and names the console when time is up', async () => {
  const { socket } = await realAgent();
  let attempts = 0;
  const late = agentClient({
    token: TOKEN,
    connect: () => {
      attempts += 1;
      return connectUnix(attempts < 3 ? `${socket}-not-yet` : socket);
    },
  });
  expect(await waitForAgent(late, { timeoutMs: 5_000, serialLog: '/m/serial.log' })).toMatchObject({ machine: 'test' });
  expect(attempts).toBe(3);

  const never = agentClient({ connect: () => connectUnix('/no/such/socket'), token: TOKEN });
  await expect(waitForAgent(never, { timeoutMs: 120, serialLog: '/m/serial.log' })).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    fix: expect.stringContaining('/m/serial.log'),
  });
});

test('waiting ends at once with the signal, and with an agent that refuses the token', async () => {
  const { socket } = await realAgent();
  const never = agentClient({ connect: () => connectUnix('/no/such/socket'), token: TOKEN });
  const signal = AbortSignal.timeout(60);
  const options = { timeoutMs: 5_000, serialLog: '/m/serial.log' };
  await expect(waitForAgent(never, { ...options, signal })).rejects.toMatchObject({
    code: 'E_ABORTED',
  });
  const stranger = agentClient({ connect: () => connectUnix(socket), token: '0'.repeat(64) });
  await expect(waitForAgent(stranger, options)).rejects.toMatchObject({ code: 'E_STATE' });
});
