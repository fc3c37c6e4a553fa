import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MAX_LOG_BYTES, OwnedProcess } from '../../../host/process/owned.ts';
import { temporaryFolder } from '../machine/temporary.ts';

async function start(argv: readonly string[], fatal?: RegExp): Promise<OwnedProcess> {
  const log = path.join(await temporaryFolder(), 'x.log');
  const owned = OwnedProcess.start({ name: 'x', argv, log, ...(fatal === undefined ? {} : { fatal }) });
  onTestFinished(() => owned.kill());
  return owned;
}

const shell = (script: string, fatal?: RegExp): Promise<OwnedProcess> => start(['/bin/sh', '-c', script], fatal);

test('keeps what a process says, and how it ended', async () => {
  const owned = await shell('echo out; echo err >&2; exit 7');
  expect(await owned.exited).toEqual({ code: 7, signal: null });
  expect(owned.tail.split('\n').sort()).toEqual(['err', 'out']);
  await expect.poll(() => readFile(owned.command.log, 'utf8')).toContain('err');
  expect((await stat(owned.command.log)).mode & 0o777).toBe(0o600);
});

test('a program that is not there has exited with 127', async () => {
  const owned = await start(['/no/such/program']);
  expect(await owned.exited).toEqual({ code: 127, signal: null });
  expect(owned.tail).toContain('ENOENT');
  await owned.kill();
});

test('kills what the process itself has started, and waits for it', async () => {
  const owned = await shell('sleep 60 & sleep 60 & echo started; wait');
  await expect.poll(() => owned.tail).toContain('started');
  await owned.kill();
  expect(owned.exit).toEqual({ code: null, signal: 'SIGKILL' });
  expect(() => process.kill(-(owned.pid ?? 0), 0)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
});

test('a process that says it is of no use any more, and lives on, is ended', async () => {
  const owned = await shell(
    "echo before; printf \"thread 'w' pani\"; echo 'cked at x.rs'; exec sleep 60",
    /^thread 'w' panicked/m,
  );
  expect(await owned.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(owned).toMatchObject({ gaveUp: true, tail: expect.stringContaining('panicked at') });
});

test('a process that never stops talking fills neither the disk nor the memory', async () => {
  const owned = await shell(`head -c ${3 * MAX_LOG_BYTES} /dev/zero | tr '\\0' 'x'; echo; echo last words`);
  await owned.exited;
  expect(owned.tail).toMatch(/last words$/);
  expect(owned.tail.length).toBeLessThanOrEqual(4096);
  await expect.poll(async () => (await stat(owned.command.log)).size).toBeGreaterThanOrEqual(MAX_LOG_BYTES);
  expect((await stat(owned.command.log)).size).toBeLessThan(MAX_LOG_BYTES + 200);
});
