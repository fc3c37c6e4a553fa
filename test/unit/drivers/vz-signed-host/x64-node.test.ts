/** An x86_64 node on a Mac: npm has left the addon's package out, and whoever looks for the addon first would say only that. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { mendSignedHost, signedHostChecks } from '../../../../host/doctor/mac.ts';
import { hostDriver } from '../../../../host/drivers/index.ts';
import type { Surroundings } from '../../../../host/drivers/vz/signed-host/program.ts';
import { asRosettaVmError } from '../../../../host/errors.ts';
import { statePaths } from '../../../../host/paths.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { macPlan } from '../vz/plans.ts';
import { ended } from './stand-in.ts';

const PATHS = statePaths({ HOME: '/nowhere' });
const quiet = { onProgress: () => {} };

const surroundings = (appleSilicon: boolean, env: NodeJS.ProcessEnv = {}): Surroundings => ({
  env,
  architecture: 'x64',
  darwin: '24.4.0',
  bundle: '/nowhere/machine-host.js',
  run: async ([program]) => {
    expect(program).toBe('/usr/sbin/sysctl');
    return appleSilicon ? ended({ stdout: '1\n' }) : ended({ exitCode: 1, stderr: 'unknown oid' });
  },
});

/** An addon that is there all the same, such as one that was copied: no library that this system loads. */
async function present(): Promise<NodeJS.ProcessEnv> {
  const file = path.join(await temporaryFolder(), 'vz.node');
  await writeFile(file, 'for arm64');
  return { ROSETTA_VM_ADDON: file };
}

test.each([
  ['is absent', async () => ({})],
  ['is there', present],
])('every way to the addon tells of the node first, where the addon %s', async (_, env) => {
  const driver = await hostDriver(PATHS, 'darwin', { surroundings: surroundings(true, await env()) });
  const plan = macPlan();
  for (const ask of [
    () => driver.newMachineIdentifier?.(),
    () => driver.explain(plan),
    () => driver.create(plan),
    () => driver.prepare?.(plan, quiet),
    () => driver.prepare?.(macPlan({ translator: 'box64' }), quiet),
    () => driver.hostProgram?.(quiet),
    () => driver.watchWake?.(() => {}),
  ]) {
    const error = await Promise.resolve(ask()).then(() => expect.fail('it did not fail'), asRosettaVmError);
    expect(error).toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      what: expect.stringContaining('under Rosetta'),
      fix: expect.stringContaining('arm64 Node.js'),
    });
  }
});

test('doctor says so of the node, not of an addon, and mends nothing', async () => {
  const driver = await hostDriver(PATHS, 'darwin', { surroundings: surroundings(true) });
  expect(await driver.probe()).toMatchObject({
    usable: false,
    capabilities: [{ id: 'node-architecture', status: 'missing', what: expect.stringContaining('under Rosetta') }],
  });
  expect(await signedHostChecks(PATHS, surroundings(true))).toMatchObject([
    { id: 'signed-source', status: 'missing', what: expect.stringContaining('under Rosetta') },
  ]);
  await expect(mendSignedHost(PATHS, quiet, surroundings(true))).rejects.toMatchObject({
    code: 'E_HOST_UNSUPPORTED',
    what: expect.stringContaining('under Rosetta'),
  });
});

test('an Intel Mac is told that it is one', async () => {
  expect(await signedHostChecks(PATHS, surroundings(false))).toMatchObject([
    { what: expect.stringContaining('Intel') },
  ]);
});
