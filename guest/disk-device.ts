/** Which of the kernel's block devices is the data disk: names follow the order in which disks are found. */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../host/errors.ts';
import type { RunCommand } from './agent/command.ts';
import { applet, type GuestSettings } from './agent/settings.ts';
import { SYSTEM_DISK_SIGNATURE } from './protocol.ts';

/** Of a partition table's disk signature (UEFI 2.10, section 5.2.1). */
const SIGNATURE_OFFSET = 440;
/** Controllers are found while the agent starts; under emulation that takes a second, ms. */
const APPEARS_MS = 10_000;
const POLL_MS = 50;
const MODULE_LIMIT_MS = 30_000;

/**
 * The device's name in this boot. `device` is the plan's: by bus, controller and namespace id, waited for when it is not
 * there yet, or any other path, taken as it is. Throws `E_NOT_FOUND`.
 */
export async function findDataDisk(device: string, settings: GuestSettings, run: RunCommand): Promise<string> {
  const { blockDirectory } = settings;
  const isVirtio = /^vd[a-z]$/.test(path.basename(device));
  // Debian's kernels have NVMe built in and virtio disks as a module. Whether that worked shows below.
  if (isVirtio) await run(applet(settings, 'modprobe', 'virtio_blk'), MODULE_LIMIT_MS);
  const mayCome = isVirtio || /^nvme\d+n\d+$/.test(path.basename(device));
  const deadline = performance.now() + (mayCome ? APPEARS_MS : 0);
  for (;;) {
    try {
      return await notSystemDisk(await namespaceDevice(device, blockDirectory), blockDirectory);
    } catch (error) {
      const isMissing = error instanceof RosettaVmError && error.code === 'E_NOT_FOUND';
      if (!isMissing || performance.now() >= deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

/**
 * The kernel's name for an NVMe namespace that is given by controller and namespace id, from sysfs's `nsid`; names follow
 * the order of an asynchronous scan. Any other device is taken by its name. Throws `E_NOT_FOUND`.
 */
export async function namespaceDevice(device: string, blockDirectory: string): Promise<string> {
  const [, controller, namespace] = /^\/dev\/nvme(\d+)n(\d+)$/.exec(device) ?? [];
  if (controller === undefined || namespace === undefined) return device;
  const names = await readdir(blockDirectory);
  for (const name of names.filter((one) => one.startsWith(`nvme${controller}n`))) {
    const id = await readFile(path.join(blockDirectory, name, 'nsid'), 'utf8').catch(() => '');
    if (id.trim() === namespace) return `/dev/${name}`;
  }
  throw missing(device, `No NVMe namespace of controller ${controller} has the id ${namespace}.`);
}

/**
 * `device`, unless it holds the system: then another disk of its kind that does not. Where each disk has a controller of
 * its own (Virtualization.framework), names follow the order in which controllers answer. Throws `E_NOT_FOUND`.
 */
export async function notSystemDisk(device: string, blockDirectory: string): Promise<string> {
  if (!(await isSystemDisk(device))) return device;
  const { dir, base } = path.parse(device);
  const sameKind = base.startsWith('vd') ? /^vd[a-z]$/ : /^nvme\d+n\d+$/;
  for (const name of (await readdir(blockDirectory)).filter((one) => sameKind.test(one)).sort()) {
    const other = path.join(dir, name);
    if (other !== device && !(await isSystemDisk(other))) return other;
  }
  throw missing(device, `${device} holds the system, and there is no other disk.`);
}

/** By the signature in the partition table that the host wrote (host/machine/system-disk.ts). */
async function isSystemDisk(device: string): Promise<boolean> {
  const file = await open(device, 'r').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? missing(device, `The kernel has no ${device}.`) : error;
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, SIGNATURE_OFFSET);
    return bytesRead === 4 && buffer.readUInt32LE() === SYSTEM_DISK_SIGNATURE;
  } finally {
    await file.close();
  }
}

/** sysfs counts in units of 512 bytes, whatever the device's own are (Documentation/ABI/stable/sysfs-block). */
const SYSFS_UNIT_BYTES = 512;

/** Length of a block device, or of what stands for one, bytes. */
export async function deviceBytes(device: string, blockDirectory: string): Promise<number> {
  const units = await readFile(path.join(blockDirectory, path.basename(device), 'size'), 'utf8').catch(() => null);
  return units === null ? (await stat(device)).size : Number(units) * SYSFS_UNIT_BYTES;
}

const missing = (device: string, why: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: 'The data disk is not there.',
    why,
    fix: 'Restart the machine with `rosetta-vm down` and `rosetta-vm up`.',
    facts: { device },
  });
