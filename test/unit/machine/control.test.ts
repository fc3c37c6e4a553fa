import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { connectControl, MAX_LINE } from '../../../host/machine/control.ts';
import { type ControlHandlers, serveControl } from '../../../host/machine/control-server.ts';
import type { ProgressEvent } from '../../../host/progress.ts';
import { temporaryFolder } from './temporary.ts';

const TIMEOUT_MS = 5_000;
const status = { phase: 'running', startedAt: 1, memoryBytes: 2 } as const;

async function serve(handlers: Partial<ControlHandlers> = {}) {
  const socket = path.join(await temporaryFolder(), 'control.sock');
  const server = await serveControl(socket, {
    status: async () => status,
    agent: async () => ({ socket: '/s', token: 't' }),
    ready: async () => status,
    stop: async () => ({}),
    ...handlers,
  });
  onTestFinished(() => server.close());
  return { socket, server };
}

async function connect(socket: string, onEvent?: Parameters<typeof connectControl>[2]) {
  const client = await connectControl(socket, TIMEOUT_MS, onEvent);
  if (client === null) throw new Error('nothing listens');
  onTestFinished(() => client.close());
  return client;
}

/** Speaks bytes to the server, as a client of no known version. */
async function speak(socket: string, bytes: Uint8Array | string): Promise<net.Socket> {
  const raw = net.connect(socket);
  raw.on('error', () => {});
  onTestFinished(() => {
    raw.destroy();
  });
  await once(raw, 'connect');
  raw.resume();
  raw.write(bytes);
  return raw;
}

test('the server greets with its protocol, version and process, and only its user can connect', async () => {
  const { socket } = await serve();
  const { hello } = await connect(socket);
  expect(hello).toEqual({ protocol: 1, version: expect.any(String), pid: process.pid });
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
});

test('replies find their requests whatever their order', async () => {
  let release = (): void => {};
  const { socket } = await serve({
    ready: () => new Promise((resolve) => (release = () => resolve({ ...status, startedAt: 99 }))),
  });
  const client = await connect(socket);
  const slow = client.call('ready', {}, TIMEOUT_MS);
  expect(await client.call('status', {}, TIMEOUT_MS)).toEqual(status);
  release();
  expect(await slow).toMatchObject({ startedAt: 99 });
});

test('an error crosses the socket with its code and its three parts', async () => {
  const parts = { what: 'It failed.', why: 'Because.', fix: 'Mend it.', facts: { disk: 'full' } };
  const { socket } = await serve({ ready: () => Promise.reject(new RosettaVmError('E_DISK_FULL', parts)) });
  const client = await connect(socket);
  await expect(client.call('ready', {}, TIMEOUT_MS)).rejects.toMatchObject({ code: 'E_DISK_FULL', ...parts });
});

test('progress reaches every client that is connected', async () => {
  const { socket, server } = await serve();
  const seen: ProgressEvent[][] = [[], []];
  const clients = await Promise.all(seen.map((list) => connect(socket, ({ progress }) => list.push(progress))));
  // A round trip each: then the server knows both.
  await Promise.all(clients.map((client) => client.call('status', {}, TIMEOUT_MS)));
  const event = { kind: 'note', message: 'hello' } as const;
  server.progress(event);
  await expect.poll(() => seen).toEqual([[event], [event]]);
});

test('a call that gets no answer ends with E_TIMEOUT, one whose server ends with E_VM_FAILED', async () => {
  const { socket, server } = await serve({ ready: () => new Promise(() => {}) });
  const client = await connect(socket);
  await expect(client.call('ready', {}, 50)).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  const lost = client.call('ready', {}, TIMEOUT_MS);
  await server.close();
  await expect(lost).rejects.toMatchObject({ code: 'E_VM_FAILED' });
  await expect(client.call('status', {}, TIMEOUT_MS)).rejects.toMatchObject({ code: 'E_VM_FAILED' });
});

test('where nothing listens there is no client', async () => {
  const folder = await temporaryFolder();
  expect(await connectControl(path.join(folder, 'none.sock'), TIMEOUT_MS)).toBeNull();
});

test('a server that is something else is told apart', async () => {
  const socket = path.join(await temporaryFolder(), 'other.sock');
  const other = net.createServer((client) => client.end('SSH-2.0-OpenSSH\n')).listen(socket);
  onTestFinished(() => {
    other.close();
  });
  await once(other, 'listening');
  await expect(connectControl(socket, TIMEOUT_MS)).rejects.toMatchObject({ code: 'E_PROTOCOL' });
});

test('no bytes from a client harm the server', async () => {
  const { socket } = await serve();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => `${text}\n`),
      ),
      async (bytes) => {
        (await speak(socket, bytes)).end();
        expect(await (await connect(socket)).call('status', {}, TIMEOUT_MS)).toEqual(status);
      },
    ),
    { numRuns: 50 },
  );
});

test('a line without an end is cut off at the bound', async () => {
  const { socket } = await serve();
  const raw = await speak(socket, Buffer.alloc(MAX_LINE + 2, 0x61));
  await once(raw, 'close');
  expect(await (await connect(socket)).call('status', {}, TIMEOUT_MS)).toEqual(status);
});

test('an unknown request is answered, not ignored', async () => {
  const { socket } = await serve();
  const raw = await speak(socket, '{"id":7,"method":"dance"}\n');
  let text = '';
  raw.on('data', (chunk) => {
    text += chunk;
  });
  await expect.poll(() => text).toContain('"id":7,"error":{"code":"E_PROTOCOL"');
});
