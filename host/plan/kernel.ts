/** Which kernel a machine boots: the newest one that its translator runs under. Pure. */
import { KERNEL_SERIES, type KernelSeries, kernelFacts, NEWEST_KERNEL, seriesOf } from '../../images/kernels.ts';
import { RosettaVmError } from '../errors.ts';
import type { MachineSpec } from '../spec/spec.ts';
import { checkRelease, chooseKernel } from './mac-kernels.ts';
import { chooseTranslator, type HostFacts } from './make-plan.ts';

/** Kernel of the default image. Throws `E_HOST_UNSUPPORTED` when the one that the spec names is known to fail. */
export function kernelFor(spec: MachineSpec, host: HostFacts): KernelSeries {
  const allowed = spec.kernel === 'auto' ? KERNEL_SERIES : [spec.kernel];
  if (chooseTranslator(spec, host) !== 'rosetta' || host.macOS === null) return allowed[0] ?? NEWEST_KERNEL;
  return chooseKernel(host.macOS, allowed.map(kernelFacts));
}

/**
 * Refuses the kernel of an image that the spec names, by its release: with `E_HOST_UNSUPPORTED` when the translator is
 * known to fail under it, with `E_INVALID` when the spec asks for another one.
 */
export function checkKernel(spec: MachineSpec, host: HostFacts, release: string): void {
  const series = seriesOf(release);
  if (spec.kernel !== 'auto' && spec.kernel !== series) {
    throw new RosettaVmError('E_INVALID', {
      what: `The image ${spec.image} has another kernel than the settings ask for.`,
      why: `It has Linux ${release}; kernel is ${spec.kernel}.`,
      fix: `Leave kernel out, or build such an image: \`rosetta-vm image build --kernel ${spec.kernel}\`.`,
      facts: { image: spec.image, kernel: spec.kernel, release },
    });
  }
  if (chooseTranslator(spec, host) === 'rosetta' && host.macOS !== null) checkRelease(host.macOS, release);
}
