import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import type { Context } from '../../../host/dev/mac-check/claim.ts';
import {
  driveMachines,
  endWorker,
  hostReport,
  makeMachine,
  minimal,
} from '../../../host/dev/mac-check/claims/addon-scripts.ts';
import { LIFE_CLAIMS } from '../../../host/dev/mac-check/claims/life.ts';
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
  const cli = [process.execPath, addon];
  return { folder, cli, addon, facts, signedNode: process.execPath };
}

const run = async (command: { readonly argv: readonly string[] }) => ({
  argv: command.argv,
  ...(await runCommand(command.argv, { env: process.env, limitMs: 30_000 })),
});

test('a machine is made, or its failure told as JSON', async () => {
  const here = await context();
  expect((await run(makeMachine(here, process.execPath, minimal(here)))).stdout).toBe('made');
  const refused = await run(makeMachine(here, process.execPath, minimal(here, { CPUCount: 4096 })));
  expect(JSON.parse(refused.stdout)).toMatchObject({ domain: 'VZErrorDomain', code: 2 });
});

test('the report is the addon’s', async () => {
  const here = await context();
  expect(JSON.parse((await run(hostReport(here, process.execPath))).stdout)).toMatchObject({ supported: true });
});

test('a Worker uses the addon and is ended', async () => {
  const here = await context();
  expect(await run(endWorker(here, process.execPath))).toMatchObject({ stdout: 'ended', exitCode: 0 });
});

test('machines are driven through their verbs, and each claim about them judges what they say', async () => {
  const here = await context();
  for (const id of ['life-states', 'life-save', 'life-balloon', 'life-nbd-absent']) {
    const claim = LIFE_CLAIMS.find((one) => one.id === id);
    const results = [];
    for (const command of claim?.commands(here) ?? []) results.push(await run(command));
    const verdict = claim?.judge(results, here);
    expect(['pass', 'noted'], `${id}: ${verdict?.evidence}`).toContain(verdict?.result);
  }
}, 60_000);

test('a verb that fails does not keep the next from being asked', async () => {
  const here = await context();
  const { stdout } = await run(driveMachines(here, [[['pause'], ['start'], ['stop']]]));
  const lines = stdout.split('\n').map((line) => JSON.parse(line));
  expect(lines.filter(({ id }) => id !== undefined).map(({ ok }) => ok)).toEqual([false, true, true]);
  expect(lines.at(-1)).toEqual({ done: true });
});
