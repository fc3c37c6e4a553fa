import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AGENT_LISTENS } from '../../../guest/protocol.ts';
import { waitForAnnouncement } from '../../../host/machine/boot-log.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-boot-log-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;

it('waits until the guest says that its agent listens, and not for the time limit', async () => {
  const log = path.join(folder, 'serial.log');
  let announced = false;
  const waiting = waitForAnnouncement(log, { timeoutMs: 60_000, signal: never }).then(() => {
    announced = true;
  });
  await writeFile(log, '[    0.1] Booting Linux\r\n');
  await sleep(100);
  expect(announced).toBe(false);
  await appendFile(log, `${AGENT_LISTENS}\r\n`);
  await waiting;
});

it('waits no longer than the limit for a line that was torn', async () => {
  const log = path.join(folder, 'torn.log');
  await writeFile(log, AGENT_LISTENS.replace(' ', ' [   2.0] a message of the kernel\r\n'));
  await waitForAnnouncement(log, { timeoutMs: 100, signal: never });
});

it('ends with the reason of its signal', async () => {
  const abort = new AbortController();
  const waiting = waitForAnnouncement(path.join(folder, 'none.log'), { timeoutMs: 60_000, signal: abort.signal });
  abort.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});
