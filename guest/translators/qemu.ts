/** qemu-user: runs nearly everything, static and musl programs included; no cache, so it is the slowest. */
import { findInManifest } from './manifest.ts';
import type { Translator } from './translator.ts';

export const qemu: Translator = {
  name: 'qemu',
  share: 'image',
  cacheBackend: 'none',
  find: (share) => findInManifest(share, 'qemu'),
  // TCG of QEMU 7.2 and later knows AVX2; its CPU model for programs is `max` (linux-user/x86_64/target_elf.h).
  start: { by: 'router', calling: 'qemu', libc: 'any', isaLevel: 3, withoutCache: {} },
  edits: () => ({ mounts: [], env: {} }),
};
