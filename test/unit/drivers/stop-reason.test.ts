/** What the end of a helper daemon means, with real processes in its stead; QEMU's own ends are in test/integration. */
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stopReason } from '../../../host/drivers/qemu/stop-reason.ts';
import { OwnedProcess } from '../../../host/process/owned.ts';
import { temporaryFolder } from '../machine/temporary.ts';

test.each([
  ['echo panicked; exec sleep 60', 'crashed', /^daemon could not go on\. It wrote:\npanicked$/],
  ['echo last words; exit 3', 'crashed', /^daemon ended \(status 3\)\. It wrote:\nlast words$/],
  ['kill -KILL $$', 'killed', /^daemon ended \(signal SIGKILL\)\. The kernel does that too/],
])('%s: the machine has %s', async (script, kind, message) => {
  const folder = await temporaryFolder();
  const argv = ['/bin/sh', '-c', script];
  const daemon = OwnedProcess.start({ name: 'daemon', argv, log: path.join(folder, 'log'), fatal: /^panicked$/m });
  onTestFinished(() => daemon.kill());
  await daemon.exited;
  const ending = { process: daemon, isQemu: false, shutdown: undefined };
  expect(await stopReason(ending, path.join(folder, 'serial.log'))).toMatchObject({
    kind,
    message: expect.stringMatching(message),
  });
});
