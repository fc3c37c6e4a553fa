import { mkdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  isAppleSilicon,
  type NodeAccount,
  nodeAccount,
  nodeFacts,
  refusal,
} from '../../../../host/drivers/vz/signed-host/node-facts.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import { type CommandRunner, runCommand } from '../../../../host/process/run-command.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { ended } from './stand-in.ts';

const never: CommandRunner = () => Promise.reject(new Error('nothing is to be run'));

const account = (over: Partial<NodeAccount> = {}): NodeAccount => ({
  execPath: process.execPath,
  version: '22.23.2',
  architecture: 'arm64',
  shared: false,
  abi: '141',
  ...over,
});

/** A file for a node in `bin`, reached through a link as version managers make them, and a library in `place`. */
async function prefix(place: 'lib' | 'bin' | null): Promise<{ link: string; bin: string; folder: string }> {
  const folder = await realpath(await temporaryFolder());
  const bin = path.join(folder, 'Cellar/node/25.2.1/bin');
  await mkdir(bin, { recursive: true });
  await writeFile(path.join(bin, 'node'), 'starter', { mode: 0o755 });
  const link = path.join(folder, 'node');
  await symlink(path.join(bin, 'node'), link);
  if (place !== null) {
    const library = path.join(bin, '..', place);
    await mkdir(library, { recursive: true });
    await writeFile(path.join(library, 'libnode.141.dylib'), '');
  }
  return { link, bin, folder };
}

describe('the node that is copied', () => {
  test('is what runs, not the link that leads there', async () => {
    const { link, bin } = await prefix(null);
    expect(await nodeFacts(account({ execPath: link }))).toMatchObject({
      executable: path.join(bin, 'node'),
      sizeBytes: 7,
      libnode: null,
    });
  });

  test.each(['bin', 'lib'] as const)('of Homebrew has its library where the starter looks: in %s', async (place) => {
    const { link, bin } = await prefix(place);
    const { libnode } = await nodeFacts(account({ execPath: link, shared: true }));
    expect(libnode).toBe(path.join(bin, '..', place, 'libnode.141.dylib'));
  });

  test('of Homebrew without its library is told with the way out', async () => {
    const { link } = await prefix(null);
    const error = await nodeFacts(account({ execPath: link, shared: true })).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RosettaVmError);
    expect(error).toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      what: expect.stringContaining('libnode.141.dylib'),
      fix: expect.stringContaining('ROSETTA_VM_NODE'),
    });
  });
});

describe('which node', () => {
  test('the running one, by its own account', async () => {
    expect(await nodeAccount({}, never)).toEqual({
      execPath: process.execPath,
      version: process.versions.node,
      architecture: process.arch,
      shared: false,
      abi: process.versions.modules,
    });
  });

  test('another one when ROSETTA_VM_NODE names it: it is asked, without the user’s NODE_OPTIONS', async () => {
    const env = { ROSETTA_VM_NODE: process.execPath, NODE_OPTIONS: '--require /nowhere.js', PATH: process.env.PATH };
    expect(await nodeAccount(env, runCommand)).toEqual(await nodeAccount({}, never));
  });

  test.each([
    ['a path that leads nowhere', '/nowhere/node', /no such program/],
    ['another program', '/bin/echo', /did not answer/],
    ['a program that fails', '/bin/false', /did not answer/],
  ])('%s in ROSETTA_VM_NODE is a usage error', async (_, file, why) => {
    const error = await nodeAccount({ ROSETTA_VM_NODE: file }, runCommand).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'E_USAGE',
      what: expect.stringContaining(file),
      why: expect.stringMatching(why),
    });
  });
});

describe('a node that cannot be the host', () => {
  test('is an x86_64 one on Apple silicon: said so, with what to do', () => {
    const refused = refusal(account({ architecture: 'x64' }), { appleSilicon: true, named: false });
    expect(refused).toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      what: expect.stringContaining('under Rosetta'),
      fix: expect.stringContaining('Install an arm64 Node.js'),
    });
    // It loads the addon itself, whatever node the machines would run on.
    expect(refused?.fix).not.toContain('ROSETTA_VM_NODE');
  });

  test('is the x86_64 one that ROSETTA_VM_NODE names: the variable is what to mend', () => {
    expect(refusal(account({ architecture: 'x64' }), { appleSilicon: true, named: true })).toMatchObject({
      what: expect.stringContaining('The Node.js of ROSETTA_VM_NODE'),
      fix: expect.stringContaining('Set ROSETTA_VM_NODE to the path of an arm64 build'),
    });
  });

  test('is any on an Intel Mac', () => {
    expect(refusal(account({ architecture: 'x64' }), { appleSilicon: false, named: false })?.what).toContain('Intel');
  });

  test('is not an arm64 one', () => {
    expect(refusal(account(), { appleSilicon: true, named: false })).toBeNull();
  });

  test('is told by the machine, not by the process', async () => {
    const answers =
      (stdout: string, exitCode = 0): CommandRunner =>
      async () =>
        ended({ stdout, exitCode });
    expect(await isAppleSilicon({}, answers('1\n'))).toBe(true);
    expect(await isAppleSilicon({}, answers('0\n'))).toBe(false);
    expect(await isAppleSilicon({}, answers('', 1))).toBe(false);
  });
});

describe('running a command', () => {
  const options = { env: process.env, limitMs: 20_000 };

  test('tells status, streams and signal apart', async () => {
    expect(await runCommand(['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'], options)).toMatchObject({
      exitCode: 3,
      signal: null,
      stdout: 'out',
      stderr: 'err',
    });
    expect(await runCommand(['/bin/sh', '-c', 'kill -9 $$'], options)).toMatchObject({
      exitCode: null,
      signal: 'SIGKILL',
      timedOut: false,
    });
    expect(await runCommand(['/nowhere/program'], options)).toMatchObject({ absent: true, exitCode: null });
  });

  test('ends it at its limit, and passes on nothing but the given environment', async () => {
    expect(await runCommand(['/bin/sleep', '60'], { ...options, limitMs: 50 })).toMatchObject({ timedOut: true });
    expect((await runCommand(['/usr/bin/env'], { env: { A: '1' }, limitMs: 20_000 })).stdout).toBe('A=1');
  });

  test('is aborted', async () => {
    const given = new AbortController();
    const running = runCommand(['/bin/sleep', '60'], { ...options, signal: given.signal });
    given.abort();
    await expect(running).rejects.toThrow(/abort/i);
  });

  test('a file that is gone is no crash', async () => {
    const folder = await temporaryFolder();
    await rm(folder, { recursive: true });
    expect((await runCommand([path.join(folder, 'x')], options)).absent).toBe(true);
  });
});
