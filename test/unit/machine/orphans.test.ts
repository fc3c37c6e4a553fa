import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { endOrphans } from '../../../host/machine/orphans.ts';
import { temporaryFolder } from './temporary.ts';

/** A process with a path below `folder` in its arguments, as QEMU and the helpers have. */
function start(folder: string, ms: number) {
  const child = spawn(process.execPath, ['-e', `setTimeout(() => {}, ${ms})`, `${folder}/qmp.sock`], {
    stdio: 'ignore',
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return { child, ended: once(child, 'exit') };
}

test('what ends by itself a moment later is waited for', async () => {
  const folder = await temporaryFolder();
  const { child, ended } = start(folder, 300);
  await once(child, 'spawn');
  await endOrphans(folder);
  expect(await ended).toEqual([0, null]);
});

test('what does not end is killed, and nothing else', async () => {
  const [folder, other] = [await temporaryFolder(), await temporaryFolder()];
  const orphan = start(folder, 60_000);
  const bystander = start(other, 60_000);
  await Promise.all([once(orphan.child, 'spawn'), once(bystander.child, 'spawn')]);
  await endOrphans(folder);
  expect(await orphan.ended).toEqual([null, 'SIGKILL']);
  expect(bystander.child.exitCode ?? bystander.child.signalCode).toBeNull();
});
