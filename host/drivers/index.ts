/** Which driver this host has. */
import { platform } from 'node:os';
import { RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import type { Driver } from './driver.ts';

/** Throws `E_HOST_UNSUPPORTED` where there is no driver for this system. */
export async function hostDriver(paths: StatePaths): Promise<Driver> {
  if (platform() === 'linux') {
    const { qemuDriver } = await import('./qemu/driver.ts');
    return qemuDriver({ toolsDirectory: paths.tools });
  }
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `There is no driver for ${platform()} in this version.`,
    why: 'The Virtualization.framework driver for Macs is not finished; the QEMU driver needs Linux.',
    fix: 'Use a Linux host (arm64 with KVM, or x86_64 with emulation).',
    facts: { platform: platform() },
  });
}
