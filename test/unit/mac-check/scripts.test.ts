import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Context } from '../../../host/dev/mac-check/claim.ts';
import { endWorker, hostReport, makeMachine, minimal } from '../../../host/dev/mac-check/claims/addon-scripts.ts';
import { driveMachines } from '../../../host/dev/mac-check/claims/drive.ts';
import { CLAIMS } from '../../../host/dev/mac-check/claims/index.ts';
import { NBD_SERVER } from '../../../host/dev/mac-check/claims/nbd-script.ts';
import { readFacts } from '../../../host/dev/mac-check/mac-facts.ts';
import { runCommand } from '../../../host/process/run-command.ts';
import { ended } from '../drivers/vz-signed-host/stand-in.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
let standIn = '';

/** The driver's stand-in addon as a file that `require` loads; wakes, which it does not have, never come. */
beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { StandInVzAddon } from './test/stand-in/vz-addon.ts';
        const addon = new StandInVzAddon();
        addon.watchWake = () => ({ events: -1 });
        addon.world.listens.add(4242);
        process.once('exit', () => addon.remove());
        export = addon;`,
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
    logLevel: 'error',
  });
  standIn = outputFiles[0]?.text ?? '';
}, 60_000);

const facts = readFacts(new Proxy({}, { get: () => ended() }) as Parameters<typeof readFacts>[0]);

/** This node in the signed copy's place, the stand-in in the addon's, and an image with a file for a kernel. */
async function context(): Promise<Context> {
  const folder = await temporaryFolder();
  const addon = path.join(folder, 'addon.cjs');
  await writeFile(addon, standIn);
  await mkdir(path.join(folder, 'images/i'), { recursive: true });
  await writeFile(path.join(folder, 'images/i/vmlinuz'), '');
  await writeFile(path.join(folder, 'images/i/system.raw'), Buffer.alloc(512));
  const cli = [process.execPath, addon];
  return { folder, cli, addon, facts, signedNode: process.execPath };
}

const run = async (command: { readonly argv: readonly string[] }) => ({
  argv: command.argv,
  ...(await runCommand(command.argv, { env: process.env, limitMs: 30_000 })),
});

/** Runs a claim's commands as they are but for a Mac's own programs, which `replaced` stands for. */
async function judged(id: string, here: Context, replaced = (text: string) => text) {
  const claim = CLAIMS.find((one) => one.id === id) ?? expect.fail(`No claim ${id}`);
  const results = [];
  for (const { argv } of claim.commands(here)) {
    const [program, , size = '', file = ''] = argv;
    if (program === '/usr/sbin/mkfile') await writeFile(file, Buffer.alloc(size === '1m' ? 2 ** 20 : Number(size)));
    results.push(program === '/usr/sbin/mkfile' ? { argv, ...ended() } : await run({ argv: argv.map(replaced) }));
  }
  return claim.judge(results, here);
}

/** What the guest is to have printed in the machine of this name; the stand-in's guests print nothing. */
const print = ({ folder }: Context, name: string, text: string): Promise<void> =>
  writeFile(path.join(folder, `${name}.log`), text);

test('a machine is made, or its failure told as JSON', async () => {
  const here = await context();
  expect((await run(makeMachine(here, process.execPath, minimal(here)))).stdout).toBe('made');
  const refused = await run(makeMachine(here, process.execPath, minimal(here, { CPUCount: 4096 })));
  expect(JSON.parse(refused.stdout)).toMatchObject({ domain: 'VZErrorDomain', code: 2 });
});

test('each bad configuration is one to the stand-in as well, with the same domain, number and subject', async () => {
  expect(await judged('framework-refusals', await context())).toMatchObject({ result: 'pass' });
}, 60_000);

test('the report is the addon’s', async () => {
  const here = await context();
  expect(JSON.parse((await run(hostReport(here, process.execPath))).stdout)).toMatchObject({ supported: true });
});

test('a Worker uses the addon and is ended', async () => {
  const here = await context();
  expect(await run(endWorker(here, process.execPath))).toMatchObject({ stdout: 'ended', exitCode: 0 });
});

test.each([
  ['life-states', 'pass'],
  ['life-save', 'pass'],
  ['life-save-devices', 'pass'],
  ['life-balloon', 'pass'],
  ['life-limit', 'noted'],
  ['life-nbd-absent', 'noted'],
])('machines are driven for %s, which judges what they say', async (id, result) => {
  expect(await judged(id, await context())).toMatchObject({ result });
});

test('a descriptor is tried before and after its connection is closed', async () => {
  const here = await context();
  await print(here, 'descriptor', 'listens-42\n');
  // The stand-in's is a pipe, which is no socket.
  expect(await judged('life-descriptor', here)).toEqual({
    result: 'fail',
    evidence: 'other; before the end of the framework’s connection it answers, after it answers',
  });
});

test('a network block device is there when the guest lists it and the delegate was told', async () => {
  const here = await context();
  await print(here, 'nbd', '103:00000 1024 nvme0n1\n');
  const verdict = await judged('life-nbd', here);
  expect(verdict).toMatchObject({ result: 'pass', evidence: expect.stringMatching(/^delegate: connected$/m) });
});

test('a block device is that of an image for as long as the machine runs', async () => {
  const here = await context();
  const devices = path.join(here.folder, 'dev');
  const hdiutil = path.join(here.folder, 'hdiutil');
  await mkdir(devices);
  for (const node of ['disk4', 'rdisk4']) {
    await symlink('/dev/null', path.join(devices, node));
    await print(here, `block-${node.slice(0, -1)}`, '103:00000 1024 nvme0n1\n');
  }
  const script = `#!/bin/sh\necho "$*" >>${hdiutil}.calls\n[ "$1" = detach ] || printf '${devices}/disk4 \\t\\n'\n`;
  await writeFile(hdiutil, script, { mode: 0o755 });
  const replaced = (text: string): string =>
    text.includes('hdiutil')
      ? text.replaceAll('/usr/bin/hdiutil', hdiutil).replaceAll(/\/dev\/(?=\$|disk)/g, `${devices}/`)
      : text;
  expect(await judged('life-block-device', here, replaced)).toMatchObject({ result: 'pass' });
  const calls = (await readFile(`${hdiutil}.calls`, 'utf8')).split('\n');
  const attach = `attach -nomount -imagekey diskimage-class=CRawDiskImage ${here.folder}/block.raw`;
  expect(calls).toEqual([attach, `detach -force ${devices}/disk4`, attach, `detach -force ${devices}/disk4`, '']);
});

test('a verb that fails does not keep the next from being asked', async () => {
  const here = await context();
  const { stdout } = await run(driveMachines(here, 'x', { machines: [[['pause'], ['start'], ['stop']]] }));
  const lines = stdout.split('\n').map((line) => JSON.parse(line));
  expect(lines.filter(({ id }) => id !== undefined).map(({ ok }) => ok)).toEqual([false, true, true]);
  expect(lines.at(-1)).toEqual({ done: true });
});

describe.runIf(spawnSync('qemu-io', ['--version']).status === 0)(
  'the server of network block devices, to qemu-io',
  () => {
    /** Serves and answers with how qemu-io ended. */
    async function io(cuts: number, ...commands: string[]) {
      const socket = path.join(await temporaryFolder(), 'nbd.sock');
      const serve = `serveNbd({ listen: ${JSON.stringify(socket)}, bytes: 2 ** 20, cuts: ${cuts} })`;
      const program = `${NBD_SERVER}${serve}.then((server) => { server.ref(); console.log('ready'); })`;
      const server = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void server.kill());
      await once(server.stdout, 'data');
      const nbd = { driver: 'nbd', server: { type: 'unix', path: socket }, export: 'mac-check', 'reconnect-delay': 20 };
      const image = `json:${JSON.stringify({ driver: 'raw', file: nbd })}`;
      return await run({ argv: ['qemu-io', ...commands.flatMap((one) => ['-c', one]), image] });
    }

    test('keeps what is written, and refuses what is beyond its end', async () => {
      const result = await io(0, 'write -P 7 4k 8k', 'flush', 'read -P 7 4k 8k', 'read -P 0 0 4k', 'length');
      expect(result).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('1 MiB') });
      expect(result.stdout).not.toContain('failed');
    });

    test('cuts the first connection off after its first read, and serves the next', async () => {
      const result = await io(1, 'read -P 0 0 512', 'read -P 0 512 512');
      expect(result).toMatchObject({ exitCode: 0, stderr: '' });
      expect(result.stdout.match(/read 512\/512/g)).toHaveLength(2);
    });
  },
);
