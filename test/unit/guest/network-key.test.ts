/** dockerd's hook for the network: what the runc shim makes of it in a bundle, and what the shim does when it is the hook. */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { damaged } from './support/damaged.ts';
import { elfFile } from './support/elf.ts';
import { CONFIG, runcBundle } from './support/runc-bundle.ts';

const EM_AARCH64 = 183;
const ARGS = ['libnetwork-setkey', '-exec-root=/var/run/docker', 'c0ffee', '1a2b3c'];
const HOOK = { path: '/proc/219/exe', args: ARGS };
const build = runcBundle();
const { at, program, writeConfig, readConfig, readConfigText, run, expectUntouched } = build;

describe("dockerd's hook in a bundle", () => {
  const taken = () => ({ path: build.shim, args: [...ARGS, '/proc/219/exe'] });

  it.each([
    ['x86_64', elfFile({})],
    ['arm64', elfFile({ machine: EM_AARCH64 })],
  ])('of %s programs becomes the shim, with dockerd as its last argument', async (_machine, shell) => {
    await program('bin/sh', shell);
    await writeConfig({ ...CONFIG, hooks: { prestart: [HOOK] } });
    run();
    expect((await readConfig()).hooks).toEqual({ prestart: [taken()] });
  });

  it('does so wherever it stands, beside others, which stay, and once', async () => {
    const other = { path: '/usr/bin/nvidia', args: ['nvidia', 'prestart'] };
    const reordered = { args: ARGS, timeout: 5, path: '/proc/219/exe' };
    await writeConfig(
      JSON.stringify({ hooks: { poststop: [other], prestart: [other, reordered] }, ...CONFIG }, null, 2),
    );
    run();
    const once = await readConfigText();
    expect((await readConfig()).hooks).toEqual({ poststop: [other], prestart: [other, { ...taken(), timeout: 5 }] });
    run();
    expect(await readConfigText()).toBe(once);
  });

  it.each([
    ['starts another program', { ...HOOK, path: '/usr/bin/dockerd' }],
    ['starts that of no process', { ...HOOK, path: '/proc/self/exe' }],
    ['starts something else of that process', { ...HOOK, path: '/proc/219/exe2' }],
    ['is for something else', { ...HOOK, args: ['libnetwork-other'] }],
    ['has no arguments', { path: HOOK.path }],
    ['is no object', 'hook'],
  ])('stays as it is when it %s', async (_what, hook) => {
    await program('bin/sh', elfFile({ machine: EM_AARCH64 }));
    await expectUntouched({ ...CONFIG, hooks: { prestart: [hook] } });
  });

  it('never makes the shim crash when it is damaged', async () => {
    const whole = JSON.stringify({ ...CONFIG, hooks: { prestart: [HOOK] } });
    await fc.assert(
      fc.asyncProperty(damaged(whole, 3, whole.indexOf('"hooks"')), async (text) => {
        await writeConfig(text);
        run();
      }),
      { numRuns: 60 },
    );
  });
});

describe('as the hook', () => {
  const STATE = JSON.stringify({
    ociVersion: '1.0',
    id: 'c0ffee',
    pid: 4321,
    root: '/r',
    bundle: '/b',
    status: 'created',
  });
  let server: Server | undefined;

  afterEach(() => server?.close());

  /** dockerd's end: answers each line with `answer`, and notes it. */
  async function controller(answer: string): Promise<string[]> {
    const lines: string[] = [];
    await mkdir(at('exec-root/libnetwork'), { recursive: true });
    await rm(at('exec-root/libnetwork/1a2b3c.sock'), { force: true });
    server = createServer((socket) => {
      socket.on('data', (data) => {
        lines.push(data.toString());
        socket.end(answer);
      });
    });
    await new Promise<void>((resolve) => server?.listen(at('exec-root/libnetwork/1a2b3c.sock'), resolve));
    return lines;
  }

  /** In dockerd's stead: notes what it was started with, and ends with 3. */
  async function dockerd(): Promise<string> {
    const file = at('dockerd');
    await writeFile(file, '#!/bin/sh\necho "$0 $*"\ncat\nexit 3\n', { mode: 0o755 });
    return file;
  }

  async function start(args: readonly string[], state = STATE) {
    const child = spawn(build.shim, args, { argv0: 'libnetwork-setkey' });
    child.stdin.on('error', () => {});
    child.stdin.end(state);
    const status = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { stdout: await text(child.stdout), stderr: await text(child.stderr), status: await status };
  }

  const args = (last: string): string[] => [`-exec-root=${at('exec-root')}`, 'c0ffee', '1a2b3c', last];

  it('tells dockerd where the network of the container is', async () => {
    const lines = await controller('success');
    expect(await start(args(await dockerd()))).toEqual({ stdout: '', stderr: '', status: 0 });
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ ContainerID: 'c0ffee', Key: '/proc/4321/ns/net' }]);
  });

  it("fails with dockerd's words when it refuses", async () => {
    await controller('no such container');
    expect(await start(args(await dockerd()))).toEqual({ stdout: '', stderr: 'no such container', status: 1 });
  });

  it('fails when dockerd hangs up', async () => {
    await controller('');
    expect(await start(args(await dockerd()))).toMatchObject({ status: 1 });
  });

  it.each([
    ['dockerd does not listen', (last: string) => args(last)],
    ['its path is too long', (last: string) => [`-exec-root=/${'x'.repeat(120)}`, 'c0ffee', '1a2b3c', last]],
    ['it was given something new', (last: string) => ['-exec-root=/x', '-more', 'c0ffee', '1a2b3c', last]],
    ['it was given less', (last: string) => ['c0ffee', last]],
  ])("becomes dockerd's own, with the same state, when %s", async (_when, given) => {
    await rm(at('exec-root'), { recursive: true, force: true });
    const file = await dockerd();
    const all = given(file);
    const { stdout, status } = await start(all);
    expect({ stdout, status }).toEqual({ stdout: `${file} ${all.slice(0, -1).join(' ')}\n${STATE}`, status: 3 });
  });

  it.each([
    ['no JSON', 'hello'],
    ['without a process', JSON.stringify({ id: 'c0ffee' })],
    ['of a process that cannot be', JSON.stringify({ pid: '12345678901' })],
  ])("leaves a state that is %s to dockerd's own", async (_what, state) => {
    await controller('success');
    expect(await start(args(await dockerd()), state)).toMatchObject({
      stdout: expect.stringContaining(state),
      status: 3,
    });
  });

  it('fails, with nothing left, when there is no dockerd either', async () => {
    await rm(at('exec-root'), { recursive: true, force: true });
    expect(await start(args(path.join(at('exec-root'), 'none')))).toMatchObject({
      status: 126,
      stderr: "rosetta-vm: dockerd's own hook for the network cannot be started.\n",
    });
    expect(await start([])).toMatchObject({ status: 126 });
  });
});
