import { expect, test } from 'vitest';
import { processFailure } from '../../../host/drivers/qemu/failure.ts';

const QEMU = { name: 'qemu', argv: [], log: '/m/qemu.log' };
const FAILED = { code: 1, signal: null };
/** As QEMU 7.2 begins each message about a `-blockdev` that it cannot open. */
const OF_A_DISK =
  'qemu-system-aarch64: -blockdev driver=raw,node-name=disk1,file.driver=nbd,file.server.type=unix,' +
  'file.server.path=/run/nbd.sock,file.export=data: ';
const OF_A_SOCKET = 'qemu-system-aarch64: -chardev socket,id=share0,path=/r/virtiofs-0.sock: ';

test.each([
  [`${OF_A_DISK}Failed to connect to '/run/nbd.sock': Connection refused`, 'E_NETWORK'],
  [`${OF_A_DISK}Requested export not available\nserver reported: export 'data' not present`, 'E_NETWORK'],
  [`${OF_A_DISK}address resolution failed for host:10809: Name or service not known`, 'E_NETWORK'],
  [`${OF_A_SOCKET}Failed to connect to '/r/virtiofs-0.sock': Connection refused`, 'E_VM_FAILED'],
  [
    'qemu-system-aarch64: -blockdev driver=raw,file.driver=file,file.filename=/d: Failed to get "write" lock',
    'E_LOCKED',
  ],
  ['qemu-system-aarch64: cannot set up guest memory', 'E_SIZE'],
  ['', 'E_VM_FAILED'],
])('%j means %s, in three parts', (tail, code) => {
  const error = processFailure(QEMU, FAILED, tail);
  expect(error.code).toBe(code);
  expect([error.what, error.why, error.fix]).not.toContain('');
});
