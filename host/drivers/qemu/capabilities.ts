/** From findings to what `doctor` prints and to what a start needs. Pure. */
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import type { Capability, HostCapabilities } from '../driver.ts';
import { type HostFindings, MINIMUM_QEMU } from './probe.ts';
import type { Accelerator, QemuTools } from './tools.ts';

/** Without these no machine starts. */
const REQUIRED: readonly string[] = ['qemu', 'virtiofs', 'vsock', 'process-guard'];

export function describeHost(findings: HostFindings): HostCapabilities {
  const capabilities = [
    qemuCapability(findings),
    acceleratorCapability(findings),
    virtiofsCapability(findings),
    vsockCapability(findings),
    utilLinuxCapability('process-guard', 'setpriv', findings.setpriv, 'QEMU would outlive the process that owns it.'),
    utilLinuxCapability('lock', 'flock', findings.flock, 'Two commands could change one machine at once.'),
    SAVE_RESTORE,
  ];
  const usable = capabilities.every(({ id, status }) => status !== 'missing' || !REQUIRED.includes(id));
  return { driver: 'qemu', usable, capabilities };
}

/** What a start uses. Throws `E_HOST_MISSING` or, for an accelerator that does not work, `E_HOST_UNSUPPORTED`. */
export function requireTools(findings: HostFindings, plan: MachinePlan): QemuTools {
  const { qemu, virtiofsd, vsock, setpriv } = findings;
  const missing = describeHost(findings).capabilities.find(
    ({ id, status }) => status === 'missing' && REQUIRED.includes(id),
  );
  if (missing !== undefined || qemu === null || virtiofsd === null || vsock === null || setpriv === null) {
    throw missingError(missing);
  }
  return {
    qemu: qemu.path,
    accelerator: chooseAccelerator(findings, plan),
    setpriv,
    virtiofsd: virtiofsd.tool,
    vhostDeviceVsock: vsock.path,
  };
}

function chooseAccelerator({ kvm }: HostFindings, plan: MachinePlan): Accelerator {
  const wanted = plan.qemu.accelerator;
  if (wanted === 'auto') return kvm.usable ? 'kvm' : 'tcg';
  if (wanted === 'kvm' && !kvm.usable) {
    throw new RosettaVmError('E_HOST_UNSUPPORTED', {
      what: 'KVM was asked for, and it cannot be used here.',
      why: kvm.why,
      fix: kvm.fix === '' ? 'Use qemu.accelerator: auto, which falls back to emulation.' : kvm.fix,
      facts: { accelerator: 'kvm' },
    });
  }
  return wanted;
}

function missingError(missing: Capability | undefined): RosettaVmError {
  return new RosettaVmError('E_HOST_MISSING', {
    what: missing === undefined ? 'A program that QEMU machines need is missing.' : `${missing.what}.`,
    why: missing?.why ?? 'The host was not probed completely.',
    fix: missing?.fix ?? 'Run `rosetta-vm doctor`.',
    facts: { capability: missing?.id ?? 'unknown', packages: missing?.packages ?? [] },
  });
}

function ok(id: string, what: string): Capability {
  return { id, status: 'ok', what, why: '', fix: '' };
}

const DOCTOR = 'Run `rosetta-vm doctor --fix`';

function qemuCapability({ qemu }: HostFindings): Capability {
  const packages = ['qemu-system-arm'];
  const fix = `${DOCTOR}, or install QEMU ${MINIMUM_QEMU.join('.')} or newer (Debian: ${packages[0]}).`;
  if (qemu === null) {
    const why = 'There is no qemu-system-aarch64 on PATH.';
    return { id: 'qemu', status: 'missing', what: 'QEMU is not installed', why, fix, packages };
  }
  const what = `QEMU ${qemu.version} (${qemu.path})`;
  if (qemu.why === null) return ok('qemu', what);
  return { id: 'qemu', status: 'missing', what: `${what} cannot be used`, why: qemu.why, fix, packages };
}

function acceleratorCapability({ kvm }: HostFindings): Capability {
  if (kvm.usable) return ok('accelerator', 'KVM, proved by a trial guest');
  const what = 'TCG: the CPU is emulated, so everything works and absolute times are many times longer';
  return { id: 'accelerator', status: 'degraded', what, why: kvm.why, fix: kvm.fix };
}

function virtiofsCapability({ virtiofsd }: HostFindings): Capability {
  if (virtiofsd === null) {
    return {
      id: 'virtiofs',
      status: 'missing',
      what: 'virtiofsd is not installed',
      why: 'It is neither on PATH nor in the folders where distributions put it.',
      fix: `${DOCTOR}, or install virtiofsd (Debian 12: qemu-system-common; later: virtiofsd).`,
      packages: ['virtiofsd'],
    };
  }
  const { tool, version, why } = virtiofsd;
  const what = `${version} (${tool.path})`;
  if (why !== null) {
    const fix = tool.rootless
      ? 'Install uidmap, and give yourself a range of ids in /etc/subuid and /etc/subgid (usermod --add-subuids).'
      : 'Allow this process to make namespaces (CAP_SYS_ADMIN, where this is a container).';
    const packages = tool.rootless ? ['uidmap'] : [];
    return { id: 'virtiofs', status: 'missing', what: `${what} cannot be used`, why, fix, packages };
  }
  return ok('virtiofs', what);
}

function vsockCapability({ vsock, kernelVsock }: HostFindings): Capability {
  const fix = `${DOCTOR}: it takes vhost-device-vsock from Debian, verified, into rosetta-vm's own folder.`;
  if (vsock === null) {
    const kernel = kernelVsock
      ? ' /dev/vhost-vsock is here, but Node.js cannot open its sockets (address family AF_VSOCK).'
      : '';
    const why = `It connects host and guest (vsock), and is neither on PATH nor among rosetta-vm's tools.${kernel}`;
    return { id: 'vsock', status: 'missing', what: 'vhost-device-vsock is not installed', why, fix };
  }
  const what = `vhost-device-vsock ${vsock.version} (${vsock.path})`;
  if (vsock.why === null) return ok('vsock', what);
  return { id: 'vsock', status: 'missing', what: `${what} cannot be used`, why: vsock.why, fix };
}

function utilLinuxCapability(id: string, program: string, found: string | null, without: string): Capability {
  if (found !== null) return ok(id, `${program} (${found})`);
  const packages = ['util-linux'];
  const fix = `${DOCTOR}, or install util-linux.`;
  return { id, status: 'missing', what: `${program} is not installed`, why: `Without it: ${without}`, fix, packages };
}

const SAVE_RESTORE: Capability = {
  id: 'save-restore',
  status: 'degraded',
  what: 'A running machine cannot be saved to a file',
  why: 'QEMU cannot migrate nvme, vhost-user-fs and vhost-user-vsock devices.',
  fix: '',
};
