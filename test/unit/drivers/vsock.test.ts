import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { connectVsock } from '../../../host/drivers/qemu/vsock.ts';
import { chunks } from '../channel/chunks.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const LIMIT_MS = 2_000;

/** A vhost-device-vsock: `serve` gets each connection with the first line that its client wrote. */
async function daemon(serve: (socket: Socket, line: string) => void): Promise<string> {
  const socketPath = path.join(await temporaryFolder(), 'vsock.sock');
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (line: Buffer) => serve(socket, line.toString('utf8')));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => void server.close());
  return socketPath;
}

test('asks for the port, and what follows the answer is the guest’s, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.array(fc.nat(8), { maxLength: 8 }), async (sent, cuts) => {
      const socketPath = await daemon((socket, line) => {
        expect(line).toBe('CONNECT 1024\n');
        for (const chunk of chunks(Buffer.from(`OK 1024\n${sent}`), cuts)) socket.write(chunk);
        socket.end();
      });
      const stream = await connectVsock(socketPath, 1024, LIMIT_MS);
      expect(await text(stream)).toBe(Buffer.from(sent).toString('utf8'));
      stream.destroy();
    }),
    { numRuns: 25 },
  );
});

test('goes on receiving after its own side has ended', async () => {
  const socketPath = await daemon((socket) => {
    socket.write('OK 1\n');
    socket.on('end', () => socket.end('last words'));
  });
  const stream = await connectVsock(socketPath, 1, LIMIT_MS);
  stream.end();
  expect(await text(stream)).toBe('last words');
});

test('says so when nobody listens in the guest', async () => {
  const socketPath = await daemon((socket) => socket.end());
  await expect(connectVsock(socketPath, 5, LIMIT_MS)).rejects.toMatchObject({
    code: 'E_VM_FAILED',
    why: expect.stringContaining('listens'),
    facts: { port: 5 },
  });
});

test('does not wait for ever', async () => {
  const socketPath = await daemon(() => {});
  await expect(connectVsock(socketPath, 5, 50)).rejects.toMatchObject({ code: 'E_TIMEOUT', facts: { limitMs: 50 } });
});

test.each([
  ['something else', 'NO\n', 'E_VM_FAILED'],
  ['a line without an end', 'OK '.padEnd(100, '1'), 'E_PROTOCOL'],
])('refuses %s for an answer', async (_what, answer, code) => {
  const socketPath = await daemon((socket) => socket.write(answer));
  await expect(connectVsock(socketPath, 5, LIMIT_MS)).rejects.toMatchObject({ code });
});

test('a daemon that is gone is a failure, not a crash', async () => {
  await expect(connectVsock(path.join(await temporaryFolder(), 'none'), 5, LIMIT_MS)).rejects.toMatchObject({
    code: 'E_VM_FAILED',
  });
});
