/** From what the user said and what the host is to a finished {@link MachinePlan}. Pure: no file is looked at. */

import type { TranslatorName } from '../../guest/protocol.ts';
import { BOOT_TAG, IMAGE_TAG, TRANSLATORS_TAG } from '../../guest/protocol.ts';
import { RosettaVmError } from '../errors.ts';
import type { MachineSpec } from '../spec/spec.ts';
import { formatSize, GIB, MIB } from '../spec/units.ts';
import type { MachinePlan, SharePlan } from './plan.ts';

/** sockaddr_un.sun_path is 104 bytes on macOS (sys/un.h), 108 on Linux; the smaller holds for both. */
export const MAX_SOCKET_PATH_BYTES = 103;

/** The system disk is replaceable and sparse, so it is generous: the root is about 0.6 GiB. */
export const SYSTEM_DISK_BYTES = 8 * GIB;

/** What of the host decides a plan. */
export interface HostFacts {
  readonly platform: 'linux' | 'darwin';
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** What is remembered of a machine between boots, or chosen when it is created. */
export interface MachineFacts {
  readonly name: string;
  /** Folder of the machine: disks, logs, boot share. */
  readonly directory: string;
  readonly runtimeDirectory: string;
  readonly cid: number;
  readonly macAddress: string;
  readonly machineIdentifier: string;
  /** Size the data disk already has, bytes; 0 when it does not exist yet. */
  readonly dataDiskBytes: number;
  /** False until the guest has made its file system: then the initrd is booted. */
  readonly systemDiskReady: boolean;
}

export interface ImageFacts {
  readonly id: string;
  readonly directory: string;
  readonly kernel: string;
  readonly initialRamdisk: string;
  readonly translators: string;
}

/** Makes the plan. Throws `E_SIZE`, `E_HOST_UNSUPPORTED` or `E_PATH_TOO_LONG`. */
export function makePlan(spec: MachineSpec, host: HostFacts, machine: MachineFacts, image: ImageFacts): MachinePlan {
  const driver = host.platform === 'darwin' ? 'vz' : 'qemu';
  const dataBytes = Math.ceil(spec.disk / MIB) * MIB;
  refuseShrink(dataBytes, machine);
  const setUp = !machine.systemDiskReady;
  const runtime = {
    directory: machine.runtimeDirectory,
    control: `${machine.runtimeDirectory}/control.sock`,
    agent: `${machine.runtimeDirectory}/agent.sock`,
  };
  for (const path of [runtime.control, runtime.agent]) checkSocketPath(path);
  return {
    schemaVersion: 1,
    name: machine.name,
    driver,
    cpus: chooseCpus(spec, host),
    memoryMiB: chooseMemory(spec, host),
    boot: {
      kernel: image.kernel,
      initialRamdisk: setUp ? image.initialRamdisk : null,
      commandLine: commandLine(driver, setUp),
    },
    disks: [
      {
        role: 'system',
        attachment: { kind: 'file', path: `${machine.directory}/system.raw` },
        sizeBytes: SYSTEM_DISK_BYTES,
        bus: 'nvme',
        readOnly: false,
        guestDevice: '/dev/nvme0n1',
      },
      {
        role: 'data',
        attachment: { kind: 'file', path: `${machine.directory}/data.raw` },
        sizeBytes: dataBytes,
        bus: 'nvme',
        readOnly: false,
        guestDevice: '/dev/nvme0n2',
      },
    ],
    shares: sharePlans(spec, machine, image, setUp),
    translator: { name: chooseTranslator(spec, host), tag: TRANSLATORS_TAG },
    cache: { enabled: spec.cache.enabled, limitBytes: spec.cache.limit },
    vsock: { cid: machine.cid },
    network: { kind: 'nat', macAddress: machine.macAddress },
    machineIdentifier: machine.machineIdentifier,
    serialLog: `${machine.directory}/serial.log`,
    runtime,
    qemu: { accelerator: spec.qemu.accelerator },
  };
}

/** Throws `E_PATH_TOO_LONG` when a unix socket cannot be bound at a path. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new RosettaVmError('E_PATH_TOO_LONG', {
    what: `A socket's path is too long: ${path}`,
    why: `It has ${bytes} bytes; the system allows ${MAX_SOCKET_PATH_BYTES}.`,
    fix: 'Set ROSETTA_VM_HOME to a folder with a shorter path.',
    facts: { path, bytes, limit: MAX_SOCKET_PATH_BYTES },
  });
}

function chooseCpus(spec: MachineSpec, host: HostFacts): number {
  const cpus = spec.cpus ?? Math.min(4, host.cpus);
  if (cpus <= host.cpus) return cpus;
  throw new RosettaVmError('E_SIZE', {
    what: `${cpus} CPUs were asked for.`,
    why: `This host has ${host.cpus}.`,
    fix: `Ask for at most ${host.cpus}, or leave cpus out.`,
    facts: { field: 'cpus', asked: cpus, available: host.cpus },
  });
}

function chooseMemory(spec: MachineSpec, host: HostFacts): number {
  const wanted = spec.memory ?? Math.min(8 * GIB, Math.max(2 * GIB, Math.floor(host.memoryBytes / 4)));
  if (wanted <= host.memoryBytes) return Math.floor(wanted / MIB);
  throw new RosettaVmError('E_SIZE', {
    what: `${formatSize(wanted)} of memory were asked for.`,
    why: `This host has ${formatSize(host.memoryBytes)}.`,
    fix: 'Ask for less, or leave memory out.',
    facts: { field: 'memory', asked: wanted, available: host.memoryBytes },
  });
}

function chooseTranslator(spec: MachineSpec, host: HostFacts): TranslatorName {
  if (spec.translator === 'auto') return host.platform === 'darwin' ? 'rosetta' : 'box64';
  if (spec.translator === 'rosetta' && host.platform !== 'darwin') {
    throw new RosettaVmError('E_HOST_UNSUPPORTED', {
      what: 'The translator "rosetta" was asked for.',
      why: 'Rosetta runs only under Virtualization.framework on a Mac with Apple silicon.',
      fix: 'Use translator: box64 (or auto) on this host.',
      facts: { translator: 'rosetta' },
    });
  }
  return spec.translator;
}

function refuseShrink(wanted: number, machine: MachineFacts): void {
  if (wanted >= machine.dataDiskBytes) return;
  throw new RosettaVmError('E_SIZE', {
    what: `The data disk of ${machine.name} would shrink to ${formatSize(wanted)}.`,
    why: `It has ${formatSize(machine.dataDiskBytes)} now, and a disk only grows: shrinking would cut its file system.`,
    fix: `Set disk to at least ${formatSize(machine.dataDiskBytes)}, or delete the machine and create it anew.`,
    facts: { field: 'disk', asked: wanted, current: machine.dataDiskBytes },
  });
}

/**
 * Kernel arguments. The console is PL011 under QEMU and a virtio console under Virtualization.framework. `rvm.setup=1`
 * tells the initrd to make the file system on the system disk and to unpack the root (images/overlay/initrd/init).
 */
function commandLine(driver: 'qemu' | 'vz', setUp: boolean): string {
  return [
    `console=${driver === 'qemu' ? 'ttyAMA0' : 'hvc0'}`,
    'root=/dev/nvme0n1',
    'rootfstype=ext4',
    'rw',
    'quiet',
    'loglevel=4',
    'panic=1',
    ...(setUp ? ['rvm.setup=1'] : []),
  ].join(' ');
}

function sharePlans(spec: MachineSpec, machine: MachineFacts, image: ImageFacts, setUp: boolean): SharePlan[] {
  return [
    {
      tag: BOOT_TAG,
      path: `${machine.directory}/boot`,
      readOnly: true,
      mountPoint: null,
    },
    {
      tag: TRANSLATORS_TAG,
      path: image.translators,
      readOnly: true,
      mountPoint: null,
    },
    ...(setUp
      ? [
          {
            tag: IMAGE_TAG,
            path: image.directory,
            readOnly: true,
            mountPoint: null,
          },
        ]
      : []),
    ...spec.shares.map((share, index) => ({
      tag: `rvm-share-${index}`,
      path: share.path,
      readOnly: share.readOnly,
      mountPoint: share.mountPoint,
    })),
  ];
}
