/**
 * Rosetta from the share to the containers: what is mounted, and what programs are told when the cache or the deny list
 * changes. The kernel's part is missing: the folder that stands for binfmt_misc registers nothing, so the translator never
 * gets ready here. Not run on a Mac.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunCommand, runCommand } from '../../../guest/agent/command.ts';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import type { CacheTarget } from '../../../guest/cache/service.ts';
import { type BootConfig, ROSETTA_SOCKET, ROSETTA_TAG } from '../../../guest/protocol.ts';
import type { DenyRow } from '../../../guest/translation-protocol.ts';
import { TranslatorService } from '../../../guest/translators/service.ts';
import { temporarySettings } from './agent-harness.ts';

const CONFIG: BootConfig['translator'] = {
  name: 'rosetta',
  tag: ROSETTA_TAG,
  socketPath: ROSETTA_SOCKET,
  preserveArgv0: true,
};
const quiet: PartLog = { info: () => {}, warn: () => {}, error: () => {} };

let settings: GuestSettings;
let directory: string;
let isCacheOn: boolean;
let denied: DenyRow[];
let attached: CacheTarget[];
let mounts: string[];
let warnings: string[];

beforeEach(async () => {
  ({ settings, directory } = await temporarySettings());
  isCacheOn = true;
  [denied, attached, mounts, warnings] = [[], [], [], []];
  await mkdir(settings.rosettaShareDirectory);
  for (const name of ['rosetta', 'rosettad']) {
    await writeFile(path.join(settings.rosettaShareDirectory, name), name, { mode: 0o755 });
  }
  await mkdir(path.join(settings.bootDirectory, 'bin'));
  await writeFile(path.join(settings.bootDirectory, 'bin/router'), 'router');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Nothing is mounted on this host; a move is one of files. */
const run: RunCommand = async (argv, limit) => {
  if (argv[0] !== 'mount' && argv[0] !== 'modprobe') return await runCommand(argv, limit);
  mounts.push(argv.join(' '));
  if (argv[1] === '--move') return await runCommand(['cp', '-a', `${argv[2]}/.`, argv[3] ?? ''], limit);
  return { code: 0, stdout: '', stderr: '' };
};

async function broughtUp(config: Partial<BootConfig['translator']> = {}): Promise<TranslatorService> {
  const cache = {
    attach: async (target: CacheTarget) => void attached.push(target),
    view: () => ({ enabled: isCacheOn, mountPoint: settings.cacheMountPoint }),
  };
  const inputs = { cache, denied: () => denied };
  const log: PartLog = { ...quiet, warn: (text) => void warnings.push(text) };
  const service = new TranslatorService({ ...CONFIG, ...config }, settings, inputs, run, log);
  await service.bringUp();
  expect(service.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('did not register') });
  return service;
}

/** What the runc shim reads. */
const edits = async (): Promise<string[]> =>
  (await readFile(path.join(settings.runDirectory, 'engine/edits'), 'utf8')).trim().split('\n');
const registration = (): Promise<string> => readFile(path.join(settings.binfmtDirectory, 'register'), 'utf8');

describe('Rosetta, which the kernel starts itself', () => {
  it('comes from the share of its tag, read-only, and its cache is keyed by what is in it', async () => {
    await broughtUp();
    expect(mounts).toContain(`mount -t virtiofs -o ro,nosuid,nodev ${ROSETTA_TAG} ${settings.rosettaShareDirectory}`);
    expect(attached).toEqual([
      {
        backend: 'rosettad',
        build: expect.stringMatching(/^[0-9a-f]{64}$/),
        shareDirectory: settings.rosettaShareDirectory,
        socketPath: ROSETTA_SOCKET,
      },
    ]);
  });

  it.each([
    [true, ':POCF'],
    [false, ':OCF'],
  ])('is registered from the share itself (argv[0] kept: %s)', async (preserveArgv0, flags) => {
    await broughtUp({ preserveArgv0 });
    expect(await registration()).toMatch(
      new RegExp(`^:rvm-rosetta:M:.*:${settings.rosettaShareDirectory}/rosetta${flags}$`),
    );
  });

  it('is kept from its cache by a variable for as long as a retry wants it so', async () => {
    const service = await broughtUp();
    const socket = path.dirname(ROSETTA_SOCKET);
    const withCache = [`mount ${socket} ${socket} ro`, 'scratch .cache/rosetta'];
    expect(await edits()).toEqual(withCache);
    isCacheOn = false;
    await service.publish();
    expect(await edits()).toEqual(['env ROSETTA_DISABLE_AOT=1', 'scratch .cache/rosetta']);
    expect(service.environment()).toEqual({ ROSETTA_DISABLE_AOT: '1' });
    isCacheOn = true;
    await service.publish();
    expect(await edits()).toEqual(withCache);
    expect(service.environment()).toEqual({});
  });

  it('says that no row of the deny list counts', async () => {
    denied = [{ from: 'cache', program: '/bin/cc', reason: '', addedMs: 0 }];
    await broughtUp();
    expect(warnings).toContain('The deny list does not count: the kernel starts the translator itself.');
  });
});

describe('Rosetta behind the router', () => {
  const table = (): Promise<string> => readFile(path.join(settings.translatorDirectory, 'table'), 'utf8');

  it('keeps single programs from the cache by the same variable', async () => {
    const service = await broughtUp({ router: true });
    expect(await registration()).toMatch(/^:rvm-router:M:.*\/router:POCF$/);
    expect(await table()).toContain(`translator rosetta 2 plain any 2 ${settings.rosettaShareDirectory}/rosetta\n`);
    expect(await table()).not.toContain('deny');
    denied = [{ from: 'cache', program: '/bin/cc', reason: '', addedMs: 0 }];
    await service.publish();
    expect(await table()).toMatch(/without-cache rosetta ROSETTA_DISABLE_AOT=1\ndeny cache - \/bin\/cc\n/);
  });

  it('gives containers its share, the socket and the router, and the variable while the cache is off', async () => {
    const service = await broughtUp({ router: true });
    const { rosettaShareDirectory: share, translatorDirectory: router } = settings;
    const socket = path.dirname(ROSETTA_SOCKET);
    const always = [`mount ${router} ${router} ro`, `mount ${router}/counters ${router}/counters rw`];
    expect(await edits()).toEqual([
      ...always,
      `mount ${share} ${share} ro`,
      `mount ${socket} ${socket} ro`,
      'scratch .cache/rosetta',
    ]);
    isCacheOn = false;
    await service.publish();
    expect(await edits()).toEqual([...always, `mount ${share} ${share} ro`, 'scratch .cache/rosetta']);
    expect(await table()).toContain('\nenv rosetta ROSETTA_DISABLE_AOT=1\n');
  });
});
