import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isLocked, lock, tryLock } from '../../../host/process/lock.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const what = 'The machine test';

test('a second taker gets nothing until the first lets go', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  const first = await tryLock(file);
  expect(first).not.toBeNull();
  expect(await tryLock(file)).toBeNull();
  expect(await isLocked(file)).toBe(true);
  await first?.release();
  expect(await isLocked(file)).toBe(false);
  const second = await tryLock(file);
  expect(second).not.toBeNull();
  await second?.release();
});

test('a file that nobody ever locked is free, and looking does not create it', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  expect(await isLocked(file)).toBe(false);
  await expect(rm(file)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('waiting ends when the holder lets go, and says once that it waits', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  const first = await tryLock(file);
  let waits = 0;
  const second = lock(file, { timeoutMs: 10_000, what, onWait: () => waits++ });
  await expect.poll(() => waits).toBe(1);
  await first?.release();
  await (await second).release();
  expect(waits).toBe(1);
});

test('waiting ends with E_LOCKED after its time, and at once when it is aborted', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  const first = await tryLock(file);
  await expect(lock(file, { timeoutMs: 150, what })).rejects.toMatchObject({ code: 'E_LOCKED', exitStatus: 4 });
  const controller = new AbortController();
  const aborted = lock(file, { timeoutMs: 60_000, what, signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  await first?.release();
});

test('a holder that is killed frees the lock by dying', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  const holder = spawn('flock', ['-x', file, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  onTestFinished(() => {
    holder.kill('SIGKILL');
  });
  await once(holder.stdout, 'data');
  expect(await isLocked(file)).toBe(true);
  process.kill(-(holder.pid ?? 0), 'SIGKILL');
  await once(holder, 'exit');
  await expect.poll(() => isLocked(file)).toBe(false);
});

test('a lock on a file that was deleted with its machine is no lock', async () => {
  const file = path.join(await temporaryFolder(), 'lock');
  const first = await tryLock(file);
  await rm(file);
  const second = await tryLock(file);
  expect(second).not.toBeNull();
  await Promise.all([first?.release(), second?.release()]);
});
