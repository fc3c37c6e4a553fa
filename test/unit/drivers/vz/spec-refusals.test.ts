/** What a user writes and no Mac takes, from the settings to the error that `--json` prints: none of it reaches the addon. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Driver } from '../../../../host/drivers/driver.ts';
import { qemuDriver } from '../../../../host/drivers/qemu/driver.ts';
import { asRosettaVmError } from '../../../../host/errors.ts';
import { openMachines } from '../../../../host/machine/open-machines.ts';
import { statePaths } from '../../../../host/paths.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { macDriver } from './machines.ts';

const VZ = { domain: 'VZErrorDomain', name: 'VZErrorInvalidVirtualMachineConfiguration', code: 2 };

/** What becomes of the settings' text: errors as `--json` prints them, of each way there is to a machine. */
async function refusals(yaml: string, driver: Driver, ways: readonly ('up' | 'dryRun')[] = ['up', 'dryRun']) {
  const cwd = await temporaryFolder();
  await writeFile(path.join(cwd, 'rosetta-vm.yaml'), yaml);
  const paths = statePaths({ ROSETTA_VM_HOME: path.join(cwd, 'home') });
  const machines = openMachines({ paths, driver: async () => driver });
  return await Promise.all(
    ways.map(async (way) => {
      const work = machines
        .loadSpec({ cwd })
        .then(({ spec }): Promise<unknown> => machines[way]('ci', { ...spec, translator: 'box64' }));
      const error = await work.then(() => expect.fail('it was not refused'), asRosettaVmError);
      return JSON.parse(JSON.stringify(error));
    }),
  );
}

const tooMany = availableParallelism() + 1;

test.each([
  ['more CPUs than the Mac has', `cpus: ${Math.min(tooMany, 65)}`, /E_SIZE|E_INVALID/],
  ['more CPUs than any machine may have', 'cpus: 65', /E_INVALID/],
  ['no CPU', 'cpus: 0', /E_INVALID/],
  ['more memory than the Mac has', 'memory: 16384GiB', /E_SIZE/],
  ['more memory than anybody has', 'memory: 17TiB', /E_SIZE/],
  ['an NBD address without a host', 'disk: { attachment: "nbd:///data" }', /E_INVALID/],
])('%s: three parts, and the number by which the framework refuses it', async (_, yaml, code) => {
  for (const error of await refusals(yaml, macDriver().driver)) {
    expect(error).toMatchObject({
      code: expect.stringMatching(code),
      what: expect.stringMatching(/./),
      why: expect.stringMatching(/./),
      fix: expect.stringMatching(/./),
      facts: VZ,
    });
  }
});

test.each([
  [
    'a server of NBD that is not there',
    'disk: { attachment: "nbd+unix:///x?socket=/nowhere/nbd.sock" }',
    'E_NOT_FOUND',
  ],
  ['a device that is not there', 'disk: { attachment: /dev/nowhere }', 'E_NOT_FOUND'],
  ['a device that is none', 'disk: { attachment: /etc/passwd }', 'E_INVALID'],
])('%s: so does `up`, which looks', async (_, yaml, code) => {
  const [error] = await refusals(yaml, macDriver().driver, ['up']);
  expect(error).toMatchObject({ code, facts: VZ });
});

test.each(['cpus: "2"', 'memory: 256MiB', 'memory: much', 'colour: blue', 'disk: 1MiB', 'disk: { bus: usb }'])(
  '%s is rosetta-vm’s own to refuse: the framework would never have been asked',
  async (yaml) => {
    for (const error of await refusals(yaml, macDriver().driver)) expect(error.facts).not.toHaveProperty('domain');
  },
);

test('under another driver none has such a number', async () => {
  const driver = qemuDriver({ toolsDirectory: '/nowhere' });
  for (const error of await refusals('cpus: 65', driver)) expect(error.facts).not.toHaveProperty('domain');
});
