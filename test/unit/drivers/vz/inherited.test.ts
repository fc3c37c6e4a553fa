import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';
import { bundleScript } from '../../../bundle-script.ts';
import { PlanFolder } from './plans.ts';

const folder = new PlanFolder();
afterAll(() => folder.remove());

test('a stream over a real socket: each side may end while the other goes on', async () => {
  const plan = await folder.plan();
  const script = path.join(path.dirname(plan.serialLog), 'process.mjs');
  await bundleScript('test/stand-in/vz-inherited.ts', script);
  const child = spawn(process.execPath, [script, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  const guest = child.stdio[3] as Socket;
  guest.allowHalfOpen = true;
  const said = text(child.stdout as Readable);
  let request = '';
  guest.on('data', (chunk: Buffer) => {
    request += chunk.toString('utf8');
  });
  await once(guest, 'end');
  guest.end('answer');
  const [status] = await once(child, 'exit');
  expect(JSON.parse(await said)).toEqual({ heard: 'answer', closed: true, state: 'stopped' });
  expect({ status, request }).toEqual({ status: 0, request: 'request' });
});
