/** qemu-user: runs nearly everything, static and musl programs included; no cache, so it is the slowest. */
import { x86_64Entry } from './binfmt.ts';
import { findInManifest } from './manifest.ts';
import type { Translator } from './translator.ts';

/**
 * As Debian's qemu-user-binfmt registers it. qemu-user learns of P from the auxiliary vector (AT_FLAGS, Linux 5.12 and
 * QEMU 6.1 on) and closes the descriptor that O gives it.
 */
const FLAGS = 'POCF';

export const qemu: Translator = {
  name: 'qemu',
  cacheBackend: 'none',
  startsFrom: 'memory',
  find: (share) => findInManifest(share, 'qemu'),
  binfmt: (found) => x86_64Entry('rvm-qemu', found.interpreter, FLAGS),
  // The kernel holds the static program open (F), so no root needs to contain it.
  edits: () => ({ mounts: [], env: {} }),
};
