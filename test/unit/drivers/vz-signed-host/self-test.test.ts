import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ADDON_PROTOCOL } from '../../../../host/drivers/vz/addon.ts';
import { SELF_TEST_SCRIPT, selfTestOutcome } from '../../../../host/drivers/vz/signed-host/self-test.ts';
import { runCommand } from '../../../../host/process/run-command.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { ended, REPORT } from './stand-in.ts';

/** Runs the script itself on this node, with a JavaScript file in the addon's place. */
async function selfTest(addon: string) {
  const folder = await temporaryFolder();
  const script = path.join(folder, 'self-test.cjs');
  const module = path.join(folder, 'addon.cjs');
  await writeFile(script, SELF_TEST_SCRIPT);
  await writeFile(module, addon);
  return selfTestOutcome(await runCommand([process.execPath, script, module], { env: process.env, limitMs: 20_000 }));
}

const addon = (protocol: number, report: unknown): string =>
  `module.exports = { protocol: ${protocol}, hostReport: () => ${JSON.stringify(JSON.stringify(report))} };`;

test('it loads the addon and passes on what the framework says', async () => {
  expect(await selfTest(addon(ADDON_PROTOCOL, REPORT))).toEqual({
    kind: 'passed',
    answer: {
      node: process.versions.node,
      architecture: process.arch,
      protocol: ADDON_PROTOCOL,
      report: REPORT,
    },
  });
});

test('a process without the entitlement, another protocol, and a broken addon are told apart', async () => {
  expect(await selfTest(addon(ADDON_PROTOCOL, { ...REPORT, entitled: false }))).toEqual({ kind: 'not-entitled' });
  expect(await selfTest(addon(ADDON_PROTOCOL + 1, REPORT))).toEqual({ kind: 'protocol', found: ADDON_PROTOCOL + 1 });
  expect(await selfTest(addon(ADDON_PROTOCOL, {}))).toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('makes no sense'),
  });
  expect(await selfTest('throw new Error("no such framework")')).toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('no such framework'),
  });
});

test.each([
  [{ exitCode: null, signal: 'SIGKILL' }, 'killed'],
  [{ exitCode: 137 }, 'killed'],
  // A time limit kills as well; that is not the kernel’s verdict.
  [{ exitCode: null, signal: 'SIGKILL', timedOut: true }, 'failed'],
  [{ exitCode: null, signal: 'SIGABRT', stderr: 'dyld: Library not loaded: @rpath/x' }, 'library'],
  [{ exitCode: null, signal: 'SIGTRAP' }, 'failed'],
  [{ exitCode: 0, stdout: 'hello' }, 'failed'],
] as const)('%j is "%s"', (result, kind) => {
  expect(selfTestOutcome(ended(result)).kind).toBe(kind);
});
