/** Which driver this host has. */
import { platform } from 'node:os';
import { RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import type { Driver } from './driver.ts';
import type { Surroundings } from './vz/signed-host/program.ts';

/** Throws `E_HOST_UNSUPPORTED` where there is no driver for this system. Loads only the one that is wanted. */
export async function hostDriver(
  paths: StatePaths,
  system: NodeJS.Platform = platform(),
  mac: { readonly surroundings?: Surroundings } = {},
): Promise<Driver> {
  if (system === 'linux') {
    const { qemuDriver } = await import('./qemu/driver.ts');
    return qemuDriver({ toolsDirectory: paths.tools });
  }
  if (system === 'darwin') {
    const [{ vzDriver }, { withMacHost }, { installedAddon, loadInstalledAddon, realSurroundings }] = await Promise.all(
      [import('./vz/driver.ts'), import('./vz/mac-host.ts'), import('./vz/signed-host/program.ts')],
    );
    const { surroundings = realSurroundings() } = mac;
    const loadAddon = () => loadInstalledAddon(surroundings);
    const addonFile = () => installedAddon(surroundings);
    const driver = vzDriver({ loadAddon, darwin: surroundings.darwin });
    return withMacHost(driver, { loadAddon, addonFile, hosts: paths.hosts, surroundings });
  }
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `There is no driver for ${system}.`,
    why: 'Machines need Virtualization.framework (macOS on Apple silicon) or QEMU on Linux.',
    fix: 'Use a Mac with Apple silicon, or Linux (arm64 with KVM, or x86_64 with emulation).',
    facts: { platform: system },
  });
}
