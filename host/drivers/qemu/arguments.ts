/** From a plan and what the host has to the processes of a machine, as pure data: nothing is looked at or started. */
import path from 'node:path';
import { RosettaVmError } from '../../errors.ts';
import type { DiskPlan, MachinePlan, SharePlan } from '../../plan/plan.ts';
import type { ProcessCommand } from '../../process/owned.ts';
import { parseNbdUrl } from '../../spec/nbd-url.ts';
import type { Accelerator, QemuTools, VirtiofsdTool } from './tools.ts';

/** A helper daemon, with the socket that QEMU connects to. */
export interface HelperCommand extends ProcessCommand {
  readonly socket: string;
}

export interface MachineCommands {
  /** Started first; QEMU connects to their sockets. */
  readonly helpers: readonly HelperCommand[];
  readonly qemu: ProcessCommand;
  /** Where QEMU listens for QMP. */
  readonly qmpSocket: string;
  /** Where vhost-device-vsock takes the host's connections to the guest. */
  readonly vsockSocket: string;
}

/**
 * Names a CPU: KVM gives the host's; under TCG a Neoverse N1 (ARMv8.2, 4 KiB and 64 KiB pages, no pointer
 * authentication, which TCG computes slowly). It came with QEMU 7.0, hence probe.ts's MINIMUM_QEMU.
 */
const CPU: Readonly<Record<Accelerator, string>> = { kvm: 'host', tcg: 'neoverse-n1' };

/**
 * Arguments for the guest's kernel that depend on the CPU. An emulated CPU does not speculate, and isolating the
 * kernel's page tables, which a random address of the kernel switches on for this CPU, empties QEMU's TLB at every
 * system call. Programs at random addresses make QEMU translate anew, in each process, what it has translated for the
 * one before: starting `true` through box64 takes twice the time in user mode.
 */
const KERNEL: Readonly<Record<Accelerator, readonly string[]>> = {
  kvm: [],
  tcg: ['mitigations=off', 'kpti=off', 'norandmaps'],
};

/** virtiofsd and vhost-device-vsock, written in Rust, live on when one of their threads dies, and serve nobody. */
const PANIC = /^thread '.*' (\(\d+\) )?panicked at /m;

/** Puts the words in front that make a process die with its owner. */
type Guard = (argv: readonly string[]) => string[];

/** The processes of a machine. Throws `E_INVALID` for a plan that this driver cannot express. */
export function machineCommands(plan: MachinePlan, tools: QemuTools): MachineCommands {
  const { directory } = plan.runtime;
  const logs = path.dirname(plan.serialLog);
  const socket = (name: string): string => path.join(directory, `${name}.sock`);
  const guarded: Guard = (argv) => [tools.setpriv, '--pdeathsig', 'KILL', '--', ...argv];

  const shares = plan.shares.map((share, index): HelperCommand => {
    const name = `virtiofs-${index}`;
    return {
      name: `virtiofsd ${share.tag}`,
      argv: virtiofsdArgv(share, tools.virtiofsd, socket(name), guarded),
      log: path.join(logs, `${name}.log`),
      fatal: PANIC,
      socket: socket(name),
    };
  });
  const vsockSocket = socket('vsock');
  const vsock: HelperCommand = {
    name: 'vhost-device-vsock',
    argv: guarded([
      tools.vhostDeviceVsock,
      `--guest-cid=${plan.vsock.cid}`,
      `--socket=${socket('vhost-vsock')}`,
      `--uds-path=${vsockSocket}`,
    ]),
    log: path.join(logs, 'vsock.log'),
    fatal: PANIC,
    socket: socket('vhost-vsock'),
  };
  const qmpSocket = socket('qmp');
  const qemuArgv = [
    tools.qemu,
    ...machineArguments(plan, tools.accelerator),
    ...bootArguments(plan, tools.accelerator),
    ...consoleArguments(plan, qmpSocket),
    ...diskArguments(plan.disks),
    ...plan.shares.flatMap((share, index) => shareArguments(share, socket(`virtiofs-${index}`), index)),
    ...vhostUserArguments('vsock0', vsock.socket, 'vhost-user-vsock-pci'),
    ...networkArguments(plan),
    ...['-device', 'virtio-rng-pci'],
    // Pages that the guest frees go back to the host without a balloon being blown up.
    ...['-device', 'virtio-balloon-pci,free-page-reporting=on'],
  ];
  return {
    helpers: [...shares, vsock],
    qemu: { name: 'qemu', argv: guarded(qemuArgv), log: path.join(logs, 'qemu.log') },
    qmpSocket,
    vsockSocket,
  };
}

function machineArguments(plan: MachinePlan, accelerator: Accelerator): string[] {
  return [
    ...['-name', comma(plan.name)],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    // What a guest that broke out of the device models could still do: nothing that starts a program or gains rights.
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    // gic-version=max: GICv2, the default, ends at 8 CPUs, and hosts with a GICv3 alone cannot give it under KVM.
    ...['-machine', 'virt,memory-backend=memory,gic-version=max'],
    ...['-accel', accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm'],
    ...['-cpu', CPU[accelerator]],
    ...['-smp', String(plan.cpus)],
    ...['-m', `${plan.memoryMiB}M`],
    // vhost-user helpers map the guest's memory, so it must be shared.
    ...['-object', `memory-backend-memfd,id=memory,size=${plan.memoryMiB}M,share=on`],
    // A boot's token and configuration hold for one boot: a guest that resets ends, and its owner decides.
    '-no-reboot',
  ];
}

function bootArguments({ boot }: MachinePlan, accelerator: Accelerator): string[] {
  return [
    ...['-kernel', boot.kernel],
    ...(boot.initialRamdisk === null ? [] : ['-initrd', boot.initialRamdisk]),
    ...['-append', [boot.commandLine, ...KERNEL[accelerator]].join(' ')],
  ];
}

function consoleArguments(plan: MachinePlan, qmpSocket: string): string[] {
  return [
    ...['-chardev', `file,id=serial0,path=${comma(plan.serialLog)},append=on`, '-serial', 'chardev:serial0'],
    ...['-chardev', `socket,id=qmp0,path=${comma(qmpSocket)},server=on,wait=off`],
    ...['-mon', 'chardev=qmp0,mode=control'],
  ];
}

function diskArguments(disks: readonly DiskPlan[]): string[] {
  const nvme = disks.map((disk) => (disk.bus === 'nvme' ? nvmeName(disk) : null));
  // Disks of one controller get their names in the order of their namespaces; two controllers race.
  const controllers = [...new Set(nvme.flatMap((name) => (name === null ? [] : [name.controller])))].sort();
  return [
    ...controllers.flatMap((number) => ['-device', `nvme,id=nvme${number},serial=rosetta-vm-${number}`]),
    ...(disks.some(({ bus }) => bus === 'usb') ? ['-device', 'qemu-xhci,id=usb0'] : []),
    ...disks.flatMap((disk, index) => {
      const node = `disk${index}`;
      return ['-blockdev', blockNode(disk, node), '-device', diskDevice(disk, node, nvme[index] ?? null)];
    }),
  ];
}

function diskDevice(disk: DiskPlan, node: string, name: NvmeName | null): string {
  if (name !== null) return `nvme-ns,id=${node}-device,bus=nvme${name.controller},nsid=${name.namespace},drive=${node}`;
  const device = disk.bus === 'usb' ? 'usb-storage,bus=usb0.0' : 'virtio-blk-pci';
  return `${device},id=${node}-device,drive=${node},serial=${disk.role}`;
}

interface NvmeName {
  readonly controller: number;
  readonly namespace: number;
}

function nvmeName(disk: DiskPlan): NvmeName {
  const match = /^\/dev\/nvme(\d)n([1-9]\d?)$/.exec(disk.guestDevice);
  if (match !== null) return { controller: Number(match[1]), namespace: Number(match[2]) };
  throw new RosettaVmError('E_INVALID', {
    what: `The ${disk.role} disk cannot be ${disk.guestDevice} in the guest.`,
    why: 'A disk on the nvme bus is named by controller and namespace.',
    fix: 'Use a name such as /dev/nvme0n1.',
    facts: { role: disk.role, guestDevice: disk.guestDevice },
  });
}

function blockNode(disk: DiskPlan, node: string): string {
  const protocol = Object.entries(protocolOptions(disk)).map(([key, value]) => `file.${key}=${comma(value)}`);
  return [
    'driver=raw',
    `node-name=${node}`,
    `read-only=${disk.readOnly ? 'on' : 'off'}`,
    // The guest's discards punch holes, so that a sparse disk stays small.
    'discard=unmap',
    ...protocol,
  ].join(',');
}

function protocolOptions({ attachment }: DiskPlan): Readonly<Record<string, string>> {
  switch (attachment.kind) {
    case 'file':
      return { driver: 'file', filename: attachment.path, discard: 'unmap' };
    case 'block':
      return { driver: 'host_device', filename: attachment.path, discard: 'unmap' };
    case 'nbd':
      return { driver: 'nbd', ...nbdOptions(attachment.url) };
  }
}

/**
 * A server that is back within this time costs the guest a pause and nothing else; less than the 30 s after which Linux
 * gives an NVMe command up (nvme_core.io_timeout), so that the guest learns of an error and not of a silence. Seconds.
 */
const NBD_RECONNECT_S = 15;

/** QEMU's BlockdevOptionsNbd (qapi/block-core.json). */
function nbdOptions(url: string): Readonly<Record<string, string>> {
  const { server, export: name } = parseNbdUrl(url);
  return {
    ...(server.type === 'unix'
      ? { 'server.type': 'unix', 'server.path': server.path }
      : { 'server.type': 'inet', 'server.host': server.host, 'server.port': String(server.port) }),
    ...(name === '' ? {} : { export: name }),
    'reconnect-delay': String(NBD_RECONNECT_S),
  };
}

function shareArguments(share: SharePlan, socket: string, index: number): string[] {
  return vhostUserArguments(`share${index}`, socket, `vhost-user-fs-pci,queue-size=1024,tag=${comma(share.tag)}`);
}

function vhostUserArguments(id: string, socket: string, device: string): string[] {
  return ['-chardev', `socket,id=${id},path=${comma(socket)}`, '-device', `${device},chardev=${id}`];
}

function networkArguments({ network }: MachinePlan): string[] {
  // romfile= : no network boot, so the ROM (package ipxe-qemu) need not be installed.
  return [
    ...['-netdev', 'user,id=net0'],
    ...['-device', `virtio-net-pci,netdev=net0,mac=${network.macAddress},romfile=`],
  ];
}

/** Where a share is seen by a virtiofsd in a mount namespace of its own: a folder that every system has (FHS). */
const NAMESPACE_FOLDER = '/mnt';

/** The argv of a virtiofsd. `guarded` goes next to the program: entering a user namespace may clear the signal. */
function virtiofsdArgv(share: SharePlan, tool: VirtiofsdTool, socket: string, guarded: Guard): string[] {
  const makeReadOnly = share.readOnly && !tool.readOnlyOption;
  const isolated = makeReadOnly || (tool.flavour === 'c' && tool.rootless);
  const folder = isolated ? NAMESPACE_FOLDER : share.path;
  const program = guarded([tool.path, `--socket-path=${socket}`, ...folderOptions(share, tool, folder)]);
  if (!isolated) return program;
  const script = [
    `mount --bind "$0" ${NAMESPACE_FOLDER}`,
    ...(makeReadOnly ? [`mount -o remount,bind,ro ${NAMESPACE_FOLDER}`] : []),
    // QEMU 7.2's tools/virtiofsd/fuse_virtio.c keeps its lock in /var/run/virtiofsd, where only root may write.
    ...(tool.flavour === 'c' && tool.rootless ? ['mount -t tmpfs tmpfs /var', 'mkdir -p /var/run/virtiofsd'] : []),
    'exec "$@"',
  ].join(' && ');
  return [...tool.namespace, '/bin/sh', '-c', script, share.path, ...program];
}

function folderOptions(share: SharePlan, tool: VirtiofsdTool, folder: string): string[] {
  // libfuse's option parser splits at commas; a backslash escapes.
  if (tool.flavour === 'c') return ['-o', `source=${folder.replace(/[\\,]/g, '\\$&')}`];
  return [`--shared-dir=${folder}`, ...(share.readOnly && tool.readOnlyOption ? ['--readonly'] : [])];
}

/** QEMU's option syntax: a comma in a value is written twice. */
function comma(value: string): string {
  return value.replaceAll(',', ',,');
}
