import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { QmpClient, type QmpEvent } from '../../../host/drivers/qemu/qmp.ts';
import { chunks } from '../channel/chunks.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n';

type Answer = (request: { execute: string; arguments: unknown; id: string }, socket: Socket) => void;

/** A QEMU that greets, accepts qmp_capabilities and leaves the rest to `answer`. */
async function fakeQemu(answer: Answer, greeting = GREETING) {
  const socketPath = path.join(await temporaryFolder(), 'qmp.sock');
  const server = createServer((socket) => {
    socket.write(greeting);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const request = JSON.parse(line);
        if (request.execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": "${request.id}"}\r\n`);
        else answer(request, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => void server.close());
  return socketPath;
}

async function connect(answer: Answer, greeting?: string): Promise<QmpClient> {
  const client = await QmpClient.connect(await fakeQemu(answer, greeting), new AbortController().signal);
  onTestFinished(() => client.close());
  return client;
}

test('gives each answer to the command that asked, in whatever order they come', async () => {
  const waiting: string[] = [];
  const client = await connect(({ id }, socket) => {
    waiting.unshift(id);
    if (waiting.length === 2) for (const one of waiting) socket.write(`{"return": "${one}", "id": "${one}"}\r\n`);
  });
  const answers = await Promise.all([client.execute('a'), client.execute('b')]);
  expect(new Set(answers).size).toBe(2);
});

test('passes arguments on and QEMU’s refusal back', async () => {
  const client = await connect((request, socket) => {
    const desc = JSON.stringify(request.arguments).replaceAll('"', "'");
    socket.write(`{"error": {"class": "GenericError", "desc": "${desc}"}, "id": "${request.id}"}\r\n`);
  });
  await expect(client.execute('device_del', { id: 'x' })).rejects.toMatchObject({
    code: 'E_VM_FAILED',
    why: "{'id':'x'}",
    facts: { command: 'device_del' },
  });
});

test('hears the same events and answers however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(200)), fc.array(fc.nat(60), { maxLength: 20 }), async (numbers, cuts) => {
      const client = await connect((request, socket) => {
        const events = numbers.map((n) => `{"event": "E", "data": {"n": ${n}}}\r\n`).join('');
        const bytes = Buffer.from(`${events}{"return": {}, "id": "${request.id}"}\r\n`);
        for (const chunk of chunks(bytes, cuts)) socket.write(chunk);
      });
      const heard: QmpEvent[] = [];
      client.on('event', (event) => heard.push(event));
      await client.execute('go');
      expect(heard.map(({ data }) => data.n)).toEqual(numbers);
      client.close();
    }),
    { numRuns: 25 },
  );
});

test('fails what is pending, and what comes later, when the connection is lost', async () => {
  const client = await connect((_request, socket) => socket.destroy());
  await expect(client.execute('a')).rejects.toMatchObject({ code: 'E_VM_FAILED' });
  await expect(client.execute('b')).rejects.toMatchObject({ code: 'E_VM_FAILED' });
});

test('does not wait for ever', async () => {
  const client = await connect(() => {});
  await expect(client.execute('stop', {}, 30)).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    facts: { command: 'stop', limitMs: 30 },
  });
});

test.each([
  ['is not JSON', 'hello\r\n'],
  ['is no object', '[1]\r\n'],
  ['greets without a version', '{"QMP": {}}\r\n'],
])('ends with a speaker that %s', async (_why, greeting) => {
  await expect(connect(() => {}, greeting)).rejects.toMatchObject({ code: 'E_VM_FAILED', why: /QEMU sent a message/ });
});

test('ends with a speaker whose line does not end', async () => {
  const client = await connect((_request, socket) => socket.write('x'.repeat(1024 * 1024 + 1)));
  await expect(client.execute('a')).rejects.toMatchObject({ why: expect.stringContaining('too long') });
});
