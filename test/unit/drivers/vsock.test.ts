import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { deferred } from '../../../host/deferred.ts';
import { VsockDialer } from '../../../host/drivers/qemu/vsock.ts';
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
      const stream = await new VsockDialer(socketPath).connect(1024, LIMIT_MS);
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
  const stream = await new VsockDialer(socketPath).connect(1, LIMIT_MS);
  stream.end();
  expect(await text(stream)).toBe('last words');
});

test('says so when nobody listens in the guest', async () => {
  const socketPath = await daemon((socket) => socket.end());
  await expect(new VsockDialer(socketPath).connect(5, LIMIT_MS)).rejects.toMatchObject({
    code: 'E_VM_FAILED',
    why: expect.stringContaining('listens'),
    facts: { port: 5 },
  });
});

test('does not wait for ever, and hangs up only once the guest has answered: before that it breaks the daemon', async () => {
  const asked = deferred<Socket>();
  const dialer = new VsockDialer(await daemon((socket) => asked.resolve(socket)));
  await expect(dialer.connect(5, 50)).rejects.toMatchObject({ code: 'E_TIMEOUT', facts: { limitMs: 50 } });
  const socket = await asked.promise;
  const ended = once(socket, 'end');
  await setImmediate();
  expect(socket.readableEnded).toBe(false);
  socket.resume().write('OK 5\n');
  await ended;
});

test('a guest that answers nothing is not asked without end', async () => {
  const dialer = new VsockDialer(await daemon(() => {}));
  const refusals = await Promise.allSettled(Array.from({ length: 256 }, () => dialer.connect(5, 1)));
  expect(refusals.map(({ status }) => status)).not.toContain('fulfilled');
  await expect(dialer.connect(5, LIMIT_MS)).rejects.toMatchObject({ code: 'E_TIMEOUT', facts: { unanswered: 256 } });
});

test.each([
  ['something else', 'NO\n', 'E_VM_FAILED'],
  ['a line without an end', 'OK '.padEnd(100, '1'), 'E_PROTOCOL'],
])('refuses %s for an answer', async (_what, answer, code) => {
  const socketPath = await daemon((socket) => socket.write(answer));
  await expect(new VsockDialer(socketPath).connect(5, LIMIT_MS)).rejects.toMatchObject({ code });
});

test('a daemon that is gone is a failure, not a crash', async () => {
  const dialer = new VsockDialer(path.join(await temporaryFolder(), 'none'));
  await expect(dialer.connect(5, LIMIT_MS)).rejects.toMatchObject({ code: 'E_VM_FAILED' });
});
