import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ensureSignedHost, type SignedHost } from '../../../../host/drivers/vz/signed-host/ensure.ts';
import { VIRTUALIZATION } from '../../../../host/drivers/vz/signed-host/entitlements.ts';
import { executeRecipe } from '../../../../host/drivers/vz/signed-host/execute.ts';
import { isUsed } from '../../../../host/drivers/vz/signed-host/leases.ts';
import { hostProgramOf } from '../../../../host/drivers/vz/signed-host/program.ts';
import { hostKey } from '../../../../host/drivers/vz/signed-host/recipe.ts';
import { asRosettaVmError, RosettaVmError } from '../../../../host/errors.ts';
import { spawnHost } from '../../../../host/machine/host-program.ts';
import { runCommand } from '../../../../host/process/run-command.ts';
import type { ProgressEvent } from '../../../../host/progress.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { type Quirks, type StandInMac, type StandInNode, signatureOf, standInMac, standInNode } from './stand-in.ts';

interface Scene extends StandInNode {
  readonly folder: string;
  /** Of the mac as it is, or of one with other quirks. */
  ensure(mac?: StandInMac, over?: Partial<Parameters<typeof ensureSignedHost>[0]>): Promise<SignedHost>;
  readonly mac: StandInMac;
  readonly events: ProgressEvent[];
  /** What is in the folder of copies, besides its lock. */
  left(): Promise<string[]>;
}

async function scene(layout: 'official' | 'homebrew' = 'official', quirks: Quirks = {}): Promise<Scene> {
  const folder = await temporaryFolder();
  const node = await standInNode(folder, layout);
  const mac = standInMac(quirks);
  const events: ProgressEvent[] = [];
  return {
    ...node,
    folder,
    mac,
    events,
    ensure: async (other = mac, over = {}) => {
      const onProgress = (event: ProgressEvent): void => void events.push(event);
      const host = await ensureSignedHost({ ...node, env: {}, run: other.run, onProgress, ...over });
      onTestFinished(() => host.lease.release().catch(() => {}));
      return host;
    },
    left: async () => (await readdir(node.hosts)).filter((name) => name !== 'hosts.lock').sort(),
  };
}

async function failure(running: Promise<unknown>): Promise<RosettaVmError> {
  const error = await running.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof RosettaVmError) return error;
  throw error;
}

const signings = ({ calls }: StandInMac): string[][] => calls.filter((argv) => argv.includes('--sign'));

describe('the signed copy', () => {
  test('of the official node is whole: executable, bundle, addon, and signed as asked', async () => {
    const { ensure, facts, events } = await scene();
    const host = await ensure();
    expect((await readFile(host.executable, 'latin1')).startsWith('node of the official layout')).toBe(true);
    expect(await readFile(host.bundle, 'utf8')).toBe('bundle');
    expect(await readFile(host.addon, 'utf8')).toBe('addon');
    expect(await signatureOf(host.executable)).toMatchObject({ hardened: false });
    expect((await stat(host.directory)).mode & 0o777).toBe(0o700);
    expect((await stat(host.executable)).mode & 0o777).toBe(0o700);
    expect((await stat(host.executable)).ino).not.toBe((await stat(facts.node.executable)).ino);
    expect(await signatureOf(facts.node.executable)).toBeNull();
    expect(events.map((event) => event.kind !== 'note' && `${event.kind} ${event.id}`)).toEqual([
      'begin host.sign',
      'end host.sign',
    ]);
    await host.lease.release();
  });

  test('of Homebrew’s node has its library beside it', async () => {
    const { ensure, facts } = await scene('homebrew');
    const host = await ensure();
    expect(await readlink(path.join(host.directory, 'libnode.141.dylib'))).toBe(facts.node.libnode);
    await host.lease.release();
  });

  test('is made once: by two at the same time, and by none after them', async () => {
    const { ensure, mac, left, facts } = await scene();
    const [one, other] = await Promise.all([ensure(), ensure()]);
    expect(one.directory).toBe(other.directory);
    const third = await ensure();
    expect(signings(mac)).toHaveLength(1);
    expect(await left()).toEqual([hostKey(facts)]);
    await Promise.all([one, other, third].map(({ lease }) => lease.release()));
  });

  test('is made anew, as another file, when that is asked for', async () => {
    const { ensure, mac } = await scene();
    const host = await ensure();
    const before = (await stat(host.executable)).ino;
    await ensure(mac, { again: true });
    expect((await stat(host.executable)).ino).not.toBe(before);
    expect(signings(mac)).toHaveLength(2);
  });

  test.each(['rosetta-vm-host', 'machine-host.mjs', 'vz.node', 'host.json'])(
    'is made anew without %s',
    async (part) => {
      const { ensure, mac } = await scene();
      const { directory } = await ensure();
      await rm(path.join(directory, part));
      await ensure();
      expect(await readdir(directory)).toContain(part);
      expect(signings(mac)).toHaveLength(2);
    },
  );

  test('that the kernel kills is made again, as a new file, with the hardened runtime', async () => {
    const { ensure, mac, left } = await scene('official', { kills: ['plain'] });
    const host = await ensure();
    expect(await signatureOf(host.executable)).toMatchObject({ hardened: true });
    expect(signings(mac).map((argv) => argv.includes('runtime'))).toEqual([false, true]);
    const [first, second] = signings(mac).map((argv) => argv.at(-1));
    expect(first).not.toBe(second);
    expect(await left()).toHaveLength(1);
  });
});

describe('nothing is left, and the error says what to do, when', () => {
  const cases: readonly [name: string, quirks: Quirks, expected: { code: string; text: RegExp }][] = [
    ['the kernel kills both variants', { kills: ['plain', 'hardened'] }, { code: 'E_HOST_UNSUPPORTED', text: /kills/ }],
    ['codesign is not there', { noCodesign: true }, { code: 'E_HOST_MISSING', text: /codesign is part of macOS/ }],
    [
      'codesign wants the Command Line Tools',
      { signFails: 'error: codesign_allocate helper tool cannot be found or used' },
      { code: 'E_HOST_MISSING', text: /xcode-select --install/ },
    ],
    [
      'the shim has no developer folder',
      { signFails: 'xcrun: error: invalid active developer path (/Library/Developer/CommandLineTools)' },
      { code: 'E_HOST_MISSING', text: /xcode-select --install/ },
    ],
    [
      'codesign finds the disk full',
      { signFails: 'x: No space left on device' },
      { code: 'E_DISK_FULL', text: /150 MB/ },
    ],
    [
      'codesign complains of something else',
      { signFails: 'internal error' },
      { code: 'E_HOST_UNSUPPORTED', text: /internal error/ },
    ],
    [
      'a key too many is read back',
      { surplus: '<key>com.apple.vm.networking</key><true/>' },
      { code: 'E_HOST_UNSUPPORTED', text: /com\.apple\.vm\.networking was not asked for/ },
    ],
    [
      'a key is not read back',
      { withheld: VIRTUALIZATION },
      { code: 'E_HOST_UNSUPPORTED', text: /com\.apple\.security\.virtualization is missing/ },
    ],
    [
      'what was signed does not verify',
      { verifyFails: 'invalid signature (code or signature have been modified)' },
      { code: 'E_HOST_UNSUPPORTED', text: /code or signature have been modified/ },
    ],
    [
      'the entitlements cannot be read back',
      { displayFails: 'code object is not signed at all' },
      { code: 'E_HOST_UNSUPPORTED', text: /not signed at all/ },
    ],
    ['the process is not entitled', { entitled: false }, { code: 'E_HOST_UNSUPPORTED', text: /does not give it/ }],
    ['the addon is of another version', { protocol: 99 }, { code: 'E_HOST_UNSUPPORTED', text: /version 99/ }],
    [
      'a library is not found',
      { dyld: 'dyld[1]: Library not loaded: @rpath/libnode.141.dylib' },
      { code: 'E_HOST_UNSUPPORTED', text: /ROSETTA_VM_NODE/ },
    ],
  ];
  test.each(cases)('%s', async (_, quirks, { code, text }) => {
    const { ensure, left } = await scene('official', quirks);
    const error = await failure(ensure());
    expect(error.code).toBe(code);
    expect(`${error.why}\n${error.fix}\n${error.what}`).toMatch(text);
    expect(await left()).toEqual([]);
  });

  test('the node to be copied is gone', async () => {
    const { ensure, left, facts } = await scene();
    const node = { ...facts.node, executable: '/nowhere/node' };
    await expect(ensure(undefined, { facts: { ...facts, node } })).rejects.toThrow('ENOENT');
    expect(await left()).toEqual([]);
  });

  test('it is aborted in the middle', async () => {
    const { ensure, left, mac } = await scene();
    const given = new AbortController();
    const run: typeof mac.run = async (argv, options) => {
      if (argv.includes('--verify')) given.abort();
      return await mac.run(argv, options);
    };
    await expect(ensure({ ...mac, run }, { signal: given.signal })).rejects.toThrow(/abort/i);
    expect(await left()).toEqual([]);
  });
});

test('no file is ever written over: macOS kills a program whose file was', async () => {
  const folder = await temporaryFolder();
  const [from, to] = ['node', 'copy'].map((name) => path.join(folder, name)) as [string, string];
  await writeFile(from, 'new');
  await writeFile(to, 'runs');
  const copying = executeRecipe([{ id: 'copy', kind: 'copy', from, to, mode: 0o700 }], { run: runCommand, env: {} });
  await expect(copying).rejects.toThrow('EEXIST');
  expect(await readFile(to, 'utf8')).toBe('runs');
});

describe('copies of other versions', () => {
  test('stay as long as a process holds them, and go then, with what a crash left', async () => {
    const { ensure, facts, left, hosts } = await scene();
    const old = await ensure();
    await mkdir(path.join(hosts, '.making-0123abcd'));
    await writeFile(path.join(hosts, 'notes.txt'), 'a user’s own');
    const newer = { facts: { ...facts, version: '0.2.0' } };
    const fresh = await ensure(undefined, newer);
    expect(await left()).toEqual([path.basename(old.directory), path.basename(fresh.directory), 'notes.txt'].sort());
    await old.lease.release();
    await ensure(undefined, newer);
    expect(await left()).toEqual([path.basename(fresh.directory), 'notes.txt'].sort());
  });

  test('a process that was started on a copy holds it with the descriptor alone', async () => {
    const { ensure } = await scene();
    const host = await ensure();
    const program = { ...hostProgramOf(host, {}), argv: ['/bin/sleep', '60'] };
    const child = spawnHost(program, [], { input: 'ignore', output: 'pipe' });
    await once(child, 'spawn');
    await program.release();
    expect(await isUsed(host.directory)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await isUsed(host.directory)).toBe(false);
  });
});

test('the host program runs the copy’s own bundle and addon, whatever the environment names', async () => {
  const { ensure } = await scene();
  const host = await ensure();
  const program = hostProgramOf(host, { HOME: '/h', NODE_OPTIONS: '-r x', ROSETTA_VM_ADDON: '/other.node' });
  expect(program.argv).toEqual([host.executable, host.bundle]);
  expect(program.env).toEqual({ HOME: '/h', ROSETTA_VM_ADDON: host.addon });
  await program.release();
});

test('a disk that is really full leaves nothing behind and says so', async (context) => {
  const folder = await temporaryFolder();
  const small = path.join(folder, 'small');
  await mkdir(small);
  // Needs root, and a container that lets it mount.
  if ((await runCommand(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'small', small], COMMAND)).exitCode !== 0) {
    return context.skip();
  }
  onTestFinished(async () => {
    await runCommand(['umount', small], COMMAND);
  });
  const { facts } = await standInNode(folder, 'official');
  await writeFile(facts.node.executable, Buffer.alloc(512 * 1024));
  const { run } = standInMac();
  const error = await ensureSignedHost({ hosts: small, facts, run, env: {}, onProgress: () => {} }).then(
    () => null,
    asRosettaVmError,
  );
  expect(error?.code).toBe('E_DISK_FULL');
  expect(await readdir(small)).toEqual(['hosts.lock']);
});

const COMMAND = { env: process.env, limitMs: 10_000 };
