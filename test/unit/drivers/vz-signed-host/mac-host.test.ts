import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Driver } from '../../../../host/drivers/driver.ts';
import type { VzHostReport } from '../../../../host/drivers/vz/addon.ts';
import { withMacHost } from '../../../../host/drivers/vz/mac-host.ts';
import { asRosettaVmError } from '../../../../host/errors.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import type { CommandRunner } from '../../../../host/process/run-command.ts';
import { StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { macReport, ODD_MACS } from '../../../stand-in/vz-reports.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { plan } from '../fixtures.ts';
import { ended, type Quirks, standInMac, standInNode } from './stand-in.ts';

const bare = { name: 'vz' } as unknown as Driver;
const ROSETTA: MachinePlan = { ...plan, driver: 'vz', translator: { name: 'rosetta', tag: 'rvm-rosetta' } };

/** A Mac with this report, whose node says that it is of this architecture. */
async function mac({ report = macReport(), architecture = 'arm64', darwin = '24.4.0', quirks = {} as Quirks } = {}) {
  const folder = await temporaryFolder();
  const { facts, hosts } = await standInNode(folder, 'official');
  const { executable } = facts.node;
  const addon = new StandInVzAddon({ report: report as VzHostReport });
  onTestFinished(() => addon.remove());
  const { run: standIn, calls } = standInMac(quirks);
  const account = { execPath: executable, version: '22.23.2', architecture, shared: false, abi: '127' };
  const run: CommandRunner = async (argv, options) => {
    if (argv[0] === executable) return ended({ stdout: JSON.stringify(account) });
    if (argv[0] === '/usr/sbin/sysctl') return ended({ stdout: '1' });
    return await standIn(argv, options);
  };
  const driver = withMacHost(bare, {
    loadAddon: async () => addon,
    addonFile: async () => facts.addon.path,
    hosts,
    surroundings: {
      env: { ROSETTA_VM_NODE: executable },
      run,
      architecture: 'arm64',
      darwin,
      bundle: facts.bundle.path,
    },
  });
  return { driver, calls, hosts };
}

const quiet = { onProgress: () => {} };
const failure = (work: Promise<unknown> | undefined) =>
  Promise.resolve(work).then(() => Promise.reject(new Error('it did not fail')), asRosettaVmError);

describe('preparing a machine on a Mac', () => {
  test('makes the signed copy, so that what stands in its way is told before an image is built', async () => {
    const { driver, hosts } = await mac();
    await driver.prepare?.(ROSETTA, quiet);
    const [key] = (await readdir(hosts)).filter((name) => /^[0-9a-f]{16}$/.test(name));
    expect(await readdir(path.join(hosts, key ?? ''))).toContain('rosetta-vm-host');
    const program = await driver.hostProgram?.(quiet);
    expect(program?.argv).toEqual([
      path.join(hosts, key ?? '', 'rosetta-vm-host'),
      path.join(hosts, key ?? '', 'machine-host.mjs'),
    ]);
    await program?.release();
  });

  test('tells an x86_64 node under Rosetta and a missing tool before anything is copied', async () => {
    const translated = await mac({ architecture: 'x64' });
    expect(await failure(translated.driver.prepare?.(ROSETTA, quiet))).toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      what: expect.stringContaining('under Rosetta'),
    });
    expect(translated.calls).toEqual([]);
    const bare = await mac({ quirks: { signFails: 'codesign_allocate helper tool cannot be found or used' } });
    expect((await failure(bare.driver.prepare?.(ROSETTA, quiet))).fix).toContain('xcode-select --install');
  });

  test('asks for Rosetta only where the machine wants it', async () => {
    const { driver } = await mac({ report: ODD_MACS['Rosetta not installed'] as unknown as VzHostReport });
    expect((await failure(driver.prepare?.(ROSETTA, quiet))).facts).toMatchObject({
      rosetta: 'notInstalled',
      name: 'VZErrorInvalidVirtualMachineConfiguration',
    });
    await driver.prepare?.({ ...ROSETTA, translator: { name: 'box64', tag: 'rvm-translators' } }, quiet);
    const questions: string[] = [];
    const ask = async (question: string): Promise<boolean> => questions.push(question) > 0;
    await driver.prepare?.(ROSETTA, { ...quiet, ask });
    expect(questions).toHaveLength(1);
  });
});

test('on macOS 27 there is no Rosetta to install, whatever number macOS shows to a program of an older SDK', async () => {
  const report = ODD_MACS['Rosetta not installed'];
  const shown = { ...report, macOS: { major: 16, minor: 0, patch: 0 } } as unknown as VzHostReport;
  const { driver } = await mac({ report: shown, darwin: '26.0.0' });
  const questions: string[] = [];
  const ask = async (question: string): Promise<boolean> => questions.push(question) > 0;
  await driver.prepare?.(ROSETTA, { ...quiet, ask });
  expect(questions).toEqual([]);
});

test('a Mac that cannot tell of its wake rejects, which the clock’s keeper bears', async () => {
  const { driver } = await mac();
  expect(await failure(driver.watchWake?.(() => {}))).toBeDefined();
});
