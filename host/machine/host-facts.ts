/** What of this host decides a plan. */
import { availableParallelism, platform, release, totalmem } from 'node:os';
import { RosettaVmError } from '../errors.ts';
import { macOSOfDarwin } from '../plan/macos.ts';
import type { HostFacts } from '../plan/make-plan.ts';

/** Throws `E_HOST_UNSUPPORTED` anywhere but on Linux and macOS. */
export function hostFacts(): HostFacts {
  const system = platform();
  if (system !== 'linux' && system !== 'darwin') {
    throw new RosettaVmError('E_HOST_UNSUPPORTED', {
      what: `rosetta-vm does not run on ${system}.`,
      why: 'It needs Virtualization.framework (macOS) or QEMU on Linux.',
      fix: 'Use it on a Mac with Apple silicon or on Linux.',
      facts: { platform: system },
    });
  }
  return {
    platform: system,
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    macOS: system === 'darwin' ? macOSOfDarwin(release()) : null,
  };
}
