import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Driver } from '../../../host/drivers/driver.ts';
import { asRosettaVmError } from '../../../host/errors.ts';
import { runSetupMachine } from '../../../host/machine/setup-machine.ts';
import { statePaths } from '../../../host/paths.ts';
import { plan } from '../drivers/fixtures.ts';
import { temporaryFolder } from './temporary.ts';

/** A driver whose machines need a host program; the program is this script, which stands in for machine-host.js. */
async function setUp(script: string, signal?: AbortSignal) {
  const directory = await temporaryFolder();
  const program = path.join(directory, 'program.cjs');
  await writeFile(program, script);
  let released = 0;
  const driver: Driver = {
    name: 'vz',
    probe: () => Promise.reject(new Error('not asked')),
    create: () => Promise.reject(new Error('a machine must not be made in this process')),
    explain: () => Promise.reject(new Error('not asked')),
    hostProgram: async () => ({
      argv: [process.execPath, program],
      env: process.env,
      descriptors: [],
      release: async () => {
        released += 1;
      },
    }),
  };
  const paths = statePaths({ ROSETTA_VM_HOME: directory });
  const outcome = await runSetupMachine({ driver, plan, directory, paths, signal, onProgress: () => {} }).then(
    (reason) => ({ reason, error: null }),
    (error: unknown) => ({ reason: null, error: asRosettaVmError(error) }),
  );
  expect(released).toBe(1);
  return outcome;
}

const answer = (value: unknown): string => `process.stdout.write(${JSON.stringify(`${JSON.stringify(value)}\n`)});`;

test('a machine that this process may not run is run by the host program, which gets plan and paths', async () => {
  const { reason } = await setUp(`
    const [, , flag, file, paths] = process.argv;
    const { name } = JSON.parse(require('node:fs').readFileSync(file, 'utf8'));
    const message = [flag, name, typeof JSON.parse(paths).hosts].join(' ');
    process.stdout.write(JSON.stringify({ reason: { kind: 'guest', message } }));
  `);
  expect(reason).toEqual({ kind: 'guest', message: '--setup default string' });
});

test('its error is this process’s, as it was', async () => {
  const { error } = await setUp(answer({ error: { code: 'E_DISK_FULL', what: 'a', why: 'b', fix: 'c', facts: {} } }));
  expect(error).toMatchObject({ code: 'E_DISK_FULL', what: 'a', why: 'b', fix: 'c' });
});

test.each([
  ['ends without a word', 'process.exitCode = 3;', /status 3/],
  ['says something else', 'process.stdout.write("hello"); process.stderr.write("dyld: gone")', /dyld: gone/],
  ['answers in another shape', answer({ reason: { kind: 'tired', message: '' } }), /status 0/],
  ['is killed', 'process.kill(process.pid, "SIGKILL");', /SIGKILL/],
  ['never stops talking', 'process.stdout.write("x".repeat(1 << 20));', /status 0/],
])('a program that %s is a failed machine', async (_, script, why) => {
  const { error } = await setUp(script);
  expect(error).toMatchObject({ code: 'E_VM_FAILED', why: expect.stringMatching(why) });
});

test('an abort reaches it as the end of its input', async () => {
  const given = new AbortController();
  const started = path.join(await temporaryFolder(), 'started');
  const last = answer({ error: { code: 'E_ABORTED', what: 'Stopped on request.', why: 'y', fix: 'z', facts: {} } });
  const running = setUp(
    `process.stdin.resume().once('close', () => { ${last} });
     require('node:fs').writeFileSync(${JSON.stringify(started)}, '');`,
    given.signal,
  );
  await expect.poll(() => existsSync(started)).toBe(true);
  given.abort();
  expect((await running).error?.code).toBe('E_ABORTED');
});
