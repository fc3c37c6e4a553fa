/** From what the user said and what the host is to a finished {@link MachinePlan}. Pure: no file is looked at. */

import type { TranslatorName } from '../../guest/protocol.ts';
import {
  BOOT_TAG,
  IMAGE_TAG,
  ROSETTA_SOCKET,
  ROSETTA_TAG,
  SETUP_ARGUMENT,
  SYSTEM_PARTITION,
  TRANSLATORS_TAG,
} from '../../guest/protocol.ts';
import { RosettaVmError } from '../errors.ts';
import { isNbdUrl } from '../spec/nbd-url.ts';
import type { MachineSpec } from '../spec/spec.ts';
import { formatSize, GIB, MIB } from '../spec/units.ts';
import { isMacOS14OrLater, type MacOSVersion } from './macos.ts';
import type { DiskAttachment, DiskPlan, MachinePlan, RuntimePlan, SharePlan } from './plan.ts';

/** sockaddr_un.sun_path is 104 bytes on macOS (sys/un.h), 108 on Linux; the smaller holds for both. */
export const MAX_SOCKET_PATH_BYTES = 103;

/** The system disk is replaceable and sparse, so it is generous: the root is about 0.6 GiB. */
export const SYSTEM_DISK_BYTES = 8 * GIB;

/** Unpacking an archive needs little; the page cache takes the rest. */
const SETUP_MEMORY_MIB = 1024;
/** Nothing outlives the setup, so one address and one identifier do for all. The prefix is QEMU's (52:54:00). */
const SETUP_MAC_ADDRESS = '52:54:00:00:00:01';
const SETUP_MACHINE_IDENTIFIER = '00000000-0000-4000-8000-000000000001';

/** What of the host decides a plan. */
export interface HostFacts {
  readonly platform: 'linux' | 'darwin';
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Null elsewhere. */
  readonly macOS: MacOSVersion | null;
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
  /** Size that the machine's own data disk already has, bytes; 0 when it does not exist yet. */
  readonly dataDiskBytes: number;
}

export interface ImageFacts {
  readonly id: string;
  readonly directory: string;
  readonly kernel: string;
  readonly initialRamdisk: string;
  readonly translators: string;
}

/** Makes the plan. Throws `E_SIZE`, `E_INVALID`, `E_HOST_UNSUPPORTED` or `E_PATH_TOO_LONG`. */
export function makePlan(spec: MachineSpec, host: HostFacts, machine: MachineFacts, image: ImageFacts): MachinePlan {
  const driver = host.platform === 'darwin' ? 'vz' : 'qemu';
  return {
    schemaVersion: 1,
    name: machine.name,
    driver,
    cpus: chooseCpus(spec, host),
    memoryMiB: chooseMemory(spec, host),
    boot: {
      kernel: image.kernel,
      initialRamdisk: systemBus(host) === 'virtio' ? image.initialRamdisk : null,
      commandLine: commandLine(driver),
    },
    disks: [systemDisk(machine.directory, host), dataDisk(spec, host, machine)],
    shares: sharePlans(spec, machine, image),
    translator: translatorPlan(spec, host),
    cache: { enabled: spec.cache.enabled, limitBytes: spec.cache.limit },
    engine: { enabled: spec.engine.enabled, buildCacheBytes: spec.engine.buildCache },
    vsock: { cid: machine.cid },
    network: { kind: 'nat', macAddress: machine.macAddress },
    machineIdentifier: machine.machineIdentifier,
    serialLog: `${machine.directory}/serial.log`,
    runtime: runtimePlan(machine.runtimeDirectory),
    qemu: { accelerator: spec.qemu.accelerator },
  };
}

/**
 * Plan of the short-lived machine that makes an image's system disk: the initrd unpacks the root archive and powers
 * off. `directory` holds the disk in the making (`system.raw`) and the serial log.
 */
export function makeSetupPlan(
  spec: MachineSpec,
  host: HostFacts,
  setup: { readonly directory: string; readonly runtimeDirectory: string; readonly cid: number },
  image: ImageFacts,
): MachinePlan {
  const driver = host.platform === 'darwin' ? 'vz' : 'qemu';
  return {
    schemaVersion: 1,
    name: `setup-${image.id}`,
    driver,
    cpus: Math.min(2, host.cpus),
    memoryMiB: SETUP_MEMORY_MIB,
    boot: {
      kernel: image.kernel,
      initialRamdisk: image.initialRamdisk,
      commandLine: `${commandLine(driver)} ${SETUP_ARGUMENT}=${image.id}`,
    },
    disks: [systemDisk(setup.directory, host)],
    shares: [{ tag: IMAGE_TAG, path: image.directory, readOnly: true, mountPoint: null }],
    // It runs no x86_64 program, so no driver has to bring anything for it.
    translator: { name: 'qemu', tag: TRANSLATORS_TAG },
    cache: { enabled: false, limitBytes: 0 },
    engine: { enabled: false, buildCacheBytes: 0 },
    vsock: { cid: setup.cid },
    network: { kind: 'nat', macAddress: SETUP_MAC_ADDRESS },
    // Virtualization.framework makes one of its own form; two machines with the same must not run at once.
    machineIdentifier: driver === 'vz' ? '' : SETUP_MACHINE_IDENTIFIER,
    serialLog: `${setup.directory}/serial.log`,
    runtime: runtimePlan(setup.runtimeDirectory),
    qemu: { accelerator: spec.qemu.accelerator },
  };
}

const isBeforeMacOS14 = ({ macOS }: HostFacts): boolean => macOS !== null && !isMacOS14OrLater(macOS);

/** VZNVMExpressControllerDeviceConfiguration came with macOS 14; Debian's kernels have NVMe built in, virtio disks not. */
const systemBus = (host: HostFacts): 'nvme' | 'virtio' => (isBeforeMacOS14(host) ? 'virtio' : 'nvme');

function systemDisk(directory: string, host: HostFacts): DiskPlan {
  const bus = systemBus(host);
  return {
    role: 'system',
    attachment: { kind: 'file', path: `${directory}/system.raw` },
    sizeBytes: SYSTEM_DISK_BYTES,
    bus,
    readOnly: false,
    guestDevice: bus === 'virtio' ? '/dev/vda' : '/dev/nvme0n1',
  };
}

function dataDisk(spec: MachineSpec, host: HostFacts, machine: MachineFacts): DiskPlan {
  const sizeBytes = Math.ceil(spec.disk.size / MIB) * MIB;
  const attachment = dataAttachment(spec.disk.attachment, machine);
  if (attachment.kind === 'file') refuseShrink(sizeBytes, machine);
  const bus = dataBus(spec, host);
  return { role: 'data', attachment, sizeBytes, bus, readOnly: false, guestDevice: dataDevice(bus, host) };
}

function dataAttachment(given: string | undefined, { directory }: MachineFacts): DiskAttachment {
  if (given === undefined) return { kind: 'file', path: `${directory}/data.raw` };
  return isNbdUrl(given) ? { kind: 'nbd', url: given } : { kind: 'block', path: given };
}

/** Throws `E_INVALID` for USB: CONFIG_USB_SUPPORT is not set in Debian’s cloud kernels (read in 6.12.117 and 6.1.176). */
function dataBus({ disk }: MachineSpec, host: HostFacts): 'nvme' | 'virtio' {
  if (disk.bus !== 'usb') return disk.bus === 'auto' ? systemBus(host) : disk.bus;
  throw new RosettaVmError('E_INVALID', {
    what: 'The data disk cannot be on the bus usb.',
    why: 'The guest’s kernel, Debian’s for cloud machines, has no USB: the disk would never appear.',
    fix: 'Use disk.bus: nvme or virtio, or leave it out. A USB disk of this computer is attached by its path, on these.',
    facts: { field: 'disk.bus', asked: disk.bus },
  });
}

/**
 * A name that no race changes the meaning of: the guest takes an NVMe disk by its namespace, and of two disks whose names
 * may be swapped the one that is not the system's (guest/data-disk.ts). QEMU gives one controller two namespaces; with
 * Virtualization.framework each disk has a controller of its own.
 */
function dataDevice(bus: 'nvme' | 'virtio', host: HostFacts): string {
  if (bus === 'virtio') return systemBus(host) === 'virtio' ? '/dev/vdb' : '/dev/vda';
  return host.platform === 'darwin' ? '/dev/nvme1n1' : '/dev/nvme0n2';
}

/** Sockets of a machine. Throws `E_PATH_TOO_LONG`. */
export function runtimePlan(directory: string): RuntimePlan {
  const runtime = {
    directory,
    control: `${directory}/control.sock`,
    agent: `${directory}/agent.sock`,
    docker: `${directory}/docker.sock`,
  };
  // The longest name that a driver puts there (drivers/qemu).
  for (const path of [runtime.control, runtime.agent, `${directory}/virtiofs-00.sock`]) checkSocketPath(path);
  return runtime;
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

function translatorPlan(spec: MachineSpec, host: HostFacts): MachinePlan['translator'] {
  const name = chooseTranslator(spec, host);
  if (name !== 'rosetta') return { name, tag: TRANSLATORS_TAG };
  const preserveArgv0 = !isBeforeMacOS14(host);
  // Caching options of the share came with macOS 14. Without them its daemon cannot even start.
  const isCached = spec.cache.enabled && !isBeforeMacOS14(host);
  return {
    name,
    tag: ROSETTA_TAG,
    preserveArgv0,
    router: spec.rosetta.router,
    ...(isCached ? { rosettaSocketPath: ROSETTA_SOCKET } : {}),
  };
}

/** Settles `auto`. Throws `E_HOST_UNSUPPORTED`. */
export function chooseTranslator(spec: MachineSpec, host: HostFacts): TranslatorName {
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

/** Kernel arguments. The console is PL011 under QEMU and a virtio console under Virtualization.framework. */
function commandLine(driver: 'qemu' | 'vz'): string {
  return [
    `console=${driver === 'qemu' ? 'ttyAMA0' : 'hvc0'}`,
    `root=PARTUUID=${SYSTEM_PARTITION}`,
    'rootwait',
    'rootfstype=ext4',
    'rw',
    'quiet',
    'loglevel=4',
    'panic=1',
  ].join(' ');
}

function sharePlans(spec: MachineSpec, machine: MachineFacts, image: ImageFacts): SharePlan[] {
  return [
    { tag: BOOT_TAG, path: `${machine.directory}/boot`, readOnly: true, mountPoint: null },
    { tag: TRANSLATORS_TAG, path: image.translators, readOnly: true, mountPoint: null },
    ...spec.shares.map((share, index) => ({
      tag: `rvm-share-${index}`,
      path: share.path,
      readOnly: share.readOnly,
      mountPoint: share.mountPoint,
    })),
  ];
}
