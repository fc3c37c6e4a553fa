import { once } from 'node:events';
import { Duplex, PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linkStream, WINDOW_BYTES } from '../../../guest/link.ts';

/** Two ends of a connection; `cut` says in which pieces bytes arrive, `seen` counts what was under way at most. */
function pair(cut: (bytes: Buffer) => Buffer[] = (bytes) => [bytes]): [Duplex, Duplex] {
  const wires = [new PassThrough(), new PassThrough()] as const;
  const end = (to: PassThrough, from: PassThrough): Duplex => {
    const raw: Duplex = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        for (const piece of cut(chunk)) to.write(piece);
        done();
      },
      final(done) {
        to.end();
        done();
      },
      destroy(error, done) {
        to.destroy();
        done(error);
      },
    });
    from.on('data', (piece) => raw.push(piece));
    from.on('end', () => raw.push(null));
    from.on('close', () => raw.destroy());
    return raw;
  };
  return [end(wires[0], wires[1]), end(wires[1], wires[0])];
}

const linked = (cut?: (bytes: Buffer) => Buffer[]): [Duplex, Duplex] => {
  const [a, b] = pair(cut);
  return [linkStream(a), linkStream(b)];
};

/** Everything up to the end of one direction; the other stays open (an async iterator would destroy both). */
async function collect(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

/** A frame as it stands in the protocol. */
const frame = (type: number, number: number, data = ''): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt8(type, 0);
  head.writeUInt32BE(number, 1);
  return Buffer.concat([head, Buffer.from(data)]);
};

test('bytes arrive whole and in order both ways, however the connection cuts them', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(chunks, chunks, fc.integer({ min: 1, max: 5_000 }), async (up, down, size) => {
      const [a, b] = linked((bytes) => {
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        return pieces;
      });
      const send = (to: Duplex, list: Uint8Array[]) => pipeline(Readable.from(list.map((one) => Buffer.from(one))), to);
      const [gotUp, gotDown] = await Promise.all([collect(b), collect(a), send(a, up), send(b, down)]);
      expect(gotUp.equals(Buffer.concat(up))).toBe(true);
      expect(gotDown.equals(Buffer.concat(down))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('a reader that stands still bounds what is under way, and the sender waits', async () => {
  const [a, b] = linked();
  let sent = 0;
  const data = Buffer.alloc(1024, 1);
  while (a.write(data, () => (sent += data.length))) if (a.writableLength > 512 * 1024) break;
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toBeLessThanOrEqual(WINDOW_BYTES + b.readableHighWaterMark);
  a.end();
  const received = await collect(b);
  expect(received.length).toBeGreaterThan(sent - 1);
  expect(received.length % 1024).toBe(0);
});

test('one direction may end while the other goes on', async () => {
  const [a, b] = linked();
  a.end('question');
  expect((await collect(b)).toString()).toBe('question');
  b.end('answer');
  expect((await collect(a)).toString()).toBe('answer');
});

test('both ends close when both directions have ended', async () => {
  const [a, b] = linked();
  const closed = Promise.all([once(a, 'close'), once(b, 'close')]);
  a.end();
  b.end();
  a.resume();
  b.resume();
  await closed;
});

test('a connection that breaks is an error on both sides, not an end', async () => {
  const [a, b] = linked();
  const errors = Promise.all([once(a, 'error'), once(b, 'error')]);
  b.resume();
  b.destroy(new Error('cut'));
  const [[lost]] = await errors;
  expect(lost).toMatchObject({ code: 'ECONNRESET' });
});

test.each([
  ['a frame of an unknown type', frame(9, 0)],
  ['more in one frame than is allowed', frame(0, WINDOW_BYTES)],
  ['credit that was never taken', frame(1, 1)],
  ['data after the end', Buffer.concat([frame(2, 0), frame(0, 1, 'x')])],
  ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
])('%s ends the link with E_PROTOCOL', async (_name, bytes) => {
  const [raw, other] = pair();
  const link = linkStream(other);
  link.resume();
  raw.on('error', () => {});
  raw.resume();
  const failed = once(link, 'error');
  raw.write(bytes);
  const [error] = await failed;
  expect(error).toMatchObject({ code: 'E_PROTOCOL' });
});

test('no bytes make it do anything but end or go on', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const [raw, other] = pair();
      const link = linkStream(other);
      link.resume();
      link.on('error', (error: NodeJS.ErrnoException) => expect(['E_PROTOCOL', 'ECONNRESET']).toContain(error.code));
      raw.on('error', () => {});
      raw.resume();
      raw.write(Buffer.from(bytes));
      await new Promise((resolve) => setImmediate(resolve));
      raw.destroy();
    }),
  );
});
