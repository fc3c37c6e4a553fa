/** A plan and what a host has, for the pure parts of the QEMU driver. */
import type { HostFindings } from '../../../host/drivers/qemu/probe.ts';
import type { QemuTools } from '../../../host/drivers/qemu/tools.ts';
import type { MachinePlan } from '../../../host/plan/plan.ts';

export const plan: MachinePlan = {
  schemaVersion: 1,
  name: 'default',
  driver: 'qemu',
  cpus: 4,
  memoryMiB: 2048,
  boot: { kernel: '/i/vmlinuz', initialRamdisk: null, commandLine: 'console=ttyAMA0 root=/dev/nvme0n1' },
  disks: [
    {
      role: 'system',
      attachment: { kind: 'file', path: '/m/system.raw' },
      sizeBytes: 8 << 30,
      bus: 'nvme',
      readOnly: false,
      guestDevice: '/dev/nvme0n1',
    },
    {
      role: 'data',
      attachment: { kind: 'file', path: '/m/a,b/data.raw' },
      sizeBytes: 8 << 30,
      bus: 'nvme',
      readOnly: false,
      guestDevice: '/dev/nvme0n2',
    },
  ],
  shares: [
    { tag: 'rvm-boot', path: '/m/boot', readOnly: true, mountPoint: null },
    { tag: 'rvm-share-0', path: '/src,x', readOnly: false, mountPoint: '/src' },
  ],
  translator: { name: 'box64', tag: 'rvm-translators' },
  cache: { enabled: true, limitBytes: 1 << 30 },
  engine: { enabled: true, buildCacheBytes: 1 << 30 },
  vsock: { cid: 42 },
  network: { kind: 'nat', macAddress: '52:54:00:00:00:42' },
  machineIdentifier: '00000000-0000-4000-8000-000000000042',
  serialLog: '/m/serial.log',
  runtime: { directory: '/r', control: '/r/control.sock', agent: '/r/agent.sock', docker: '/r/docker.sock' },
  qemu: { accelerator: 'auto' },
};

export const tools: QemuTools = {
  qemu: '/usr/bin/qemu-system-aarch64',
  accelerator: 'tcg',
  setpriv: '/usr/bin/setpriv',
  virtiofsd: { path: '/usr/libexec/virtiofsd', flavour: 'rust', readOnlyOption: true, rootless: false, namespace: [] },
  vhostDeviceVsock: '/t/vhost-device-vsock',
};

export const findings: HostFindings = {
  qemu: { path: tools.qemu, version: '10.0.2', why: null },
  kvm: { usable: true, why: '', fix: '' },
  setpriv: tools.setpriv,
  flock: '/usr/bin/flock',
  virtiofsd: { tool: tools.virtiofsd, version: 'virtiofsd 1.13.2', why: null },
  vsock: { path: tools.vhostDeviceVsock, version: '0.3.0', why: null },
  kernelVsock: false,
};
