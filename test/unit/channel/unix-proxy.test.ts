import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { proxyUnixSocket, type UnixProxy } from '../../../host/channel/unix-proxy.ts';
import { temporaryFolder } from '../machine/temporary.ts';

/** A proxy in front of a server that handles each connection with `serve`. */
async function proxyTo(serve: (connection: Socket) => void): Promise<UnixProxy> {
  const folder = await temporaryFolder();
  const target = path.join(folder, 'target.sock');
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    connection.on('error', () => {});
    serve(connection);
  }).listen(target);
  await once(server, 'listening');
  const proxy = await proxyUnixSocket({
    path: path.join(folder, 'run', 'proxy.sock'),
    connect: () => connectUnix(target),
  });
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return proxy;
}

test('only its owner may connect', async () => {
  const { path: socket } = await proxyTo(() => {});
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
  expect((await stat(path.dirname(socket))).mode & 0o777).toBe(0o700);
});

test('bytes pass both ways, many connections side by side', async () => {
  const { path: socket } = await proxyTo((connection) => connection.pipe(connection));
  const echoes = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const client = await connectUnix(socket);
      client.end(`message ${index}`);
      return await text(client);
    }),
  );
  expect(echoes).toEqual(Array.from({ length: 20 }, (_, index) => `message ${index}`));
});

test('the end of one direction leaves the other open', async () => {
  const { path: socket } = await proxyTo((connection) => {
    let heard = '';
    connection.on('data', (chunk: Buffer) => {
      heard += chunk.toString('utf8');
    });
    connection.on('end', () => connection.end(`all of ${heard}`));
  });
  const client = await connectUnix(socket);
  client.end('it');
  expect(await text(client)).toBe('all of it');
});

test('what was sent before a client closed arrives whole', async () => {
  const heard = new Promise<Buffer>((resolve) => {
    void proxyTo((connection) => {
      setTimeout(() => buffer(connection).then(resolve), 50);
      connection.end();
    }).then(async ({ path: socket }) => (await connectUnix(socket)).end(Buffer.alloc(4 << 20, 7)));
  });
  expect((await heard).equals(Buffer.alloc(4 << 20, 7))).toBe(true);
});

test('a sender is held back while nobody reads', async () => {
  const { path: socket } = await proxyTo((connection) => connection.pause());
  const client = await connectUnix(socket);
  client.write(Buffer.alloc(32 << 20));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(client.writableLength).toBeGreaterThan(16 << 20);
  client.destroy();
});

test('a connection that cannot be made, or breaks, ends alone', async () => {
  let attempts = 0;
  const proxy = await proxyUnixSocket({
    path: path.join(await temporaryFolder(), 'proxy.sock'),
    connect: async () => {
      attempts += 1;
      throw new Error('not now');
    },
  });
  onTestFinished(() => proxy.close());
  for (let index = 1; index <= 2; index += 1) {
    const client = await connectUnix(proxy.path);
    expect(await text(client)).toBe('');
    expect(attempts).toBe(index);
  }
});

test('closing ends every connection and removes the socket', async () => {
  const proxy = await proxyTo(() => {});
  const client = await connectUnix(proxy.path);
  const ended = text(client).catch(() => '');
  await proxy.close();
  expect(await ended).toBe('');
  await expect(stat(proxy.path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a path on which somebody listens is refused', async () => {
  const { path: socket } = await proxyTo(() => {});
  await expect(proxyUnixSocket({ path: socket, connect: () => connectUnix('/x') })).rejects.toMatchObject({
    code: 'E_ADDRESS_IN_USE',
    facts: { path: socket },
  });
});

test('a path that is too long is refused', async () => {
  const long = path.join('/tmp', 'x'.repeat(120));
  await expect(proxyUnixSocket({ path: long, connect: () => connectUnix('/x') })).rejects.toMatchObject({
    code: 'E_PATH_TOO_LONG',
  });
});
