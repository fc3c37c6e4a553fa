/** A disk that is no file of its machine, looked at before anything is started. Nothing is ever written to it here. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { platform } from 'node:os';
import { SYSTEM_DISK_SIGNATURE } from '../../guest/protocol.ts';
import { RosettaVmError } from '../errors.ts';
import type { DiskPlan } from '../plan/plan.ts';
import { parseNbdUrl } from '../spec/nbd-url.ts';
import { formatSize } from '../spec/units.ts';

/** The largest sectors that disks have: a Mac's raw device takes reads of whole ones alone. */
const BLOCK_BYTES = 4096;
/** Of a partition table's disk signature (UEFI 2.10, section 5.2.1). */
const SIGNATURE_OFFSET = 440;

/**
 * Throws `E_NOT_FOUND` (no such device, no socket of a server), `E_INVALID` (no block device), `E_STATE` (in use, not
 * permitted, a system of ours) or `E_SIZE`. Does nothing for a file. Whether an NBD server answers is not tried: qemu-nbd
 * ends with its first client.
 */
export async function checkExternalDisk(disk: DiskPlan, system: NodeJS.Platform = platform()): Promise<void> {
  if (disk.attachment.kind === 'nbd') return await checkNbdSocket(disk.attachment.url);
  if (disk.attachment.kind === 'block') await checkBlockDevice(disk.attachment.path, disk, system);
}

async function checkBlockDevice(path: string, { sizeBytes, readOnly }: DiskPlan, system: string): Promise<void> {
  const device = await openExclusively(path, readOnly);
  try {
    if (!isDisk(await device.stat(), system)) throw noBlockDevice(path);
    // A read behind the end gives nothing; that works on every system, without asking for a size.
    if ((await readBlock(device, path, sizeBytes - 1)) < sizeBytes) throw tooSmall(path, sizeBytes);
    const start = Buffer.alloc(BLOCK_BYTES);
    await readBlock(device, path, 0, start);
    if (start.readUInt32LE(SIGNATURE_OFFSET) === SYSTEM_DISK_SIGNATURE) throw holdsSystem(path);
  } finally {
    await device.close();
  }
}

/** On a Mac `/dev/rdiskN` is the raw side of `/dev/diskN`, a character device; elsewhere such a device is no disk. */
const isDisk = (device: Stats, system: string): boolean =>
  device.isBlockDevice() || (system === 'darwin' && device.isCharacterDevice());

/** O_EXCL without O_CREAT: Linux refuses a block device that is mounted or otherwise in use (open(2)). */
async function openExclusively(path: string, readOnly: boolean): Promise<FileHandle> {
  const mode = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  try {
    // Opening a pipe would wait for its other end.
    return await open(path, mode | constants.O_EXCL | constants.O_NONBLOCK);
  } catch (error) {
    throw notOpened(path, error as NodeJS.ErrnoException);
  }
}

/** Reads the block with the byte at `position`; answers with the place behind what was there to read. */
async function readBlock(
  device: FileHandle,
  path: string,
  position: number,
  into: Buffer = Buffer.alloc(BLOCK_BYTES),
): Promise<number> {
  const start = position - (position % BLOCK_BYTES);
  try {
    return start + (await device.read(into, 0, BLOCK_BYTES, start)).bytesRead;
  } catch (error) {
    throw notOpened(path, error as NodeJS.ErrnoException);
  }
}

function notOpened(path: string, cause: NodeJS.ErrnoException): RosettaVmError {
  if (cause.code === 'EISDIR' || cause.code === 'ENXIO') return noBlockDevice(path);
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
    return new RosettaVmError('E_NOT_FOUND', {
      what: `The data disk is missing: ${path}`,
      why: 'There is no such device on this computer.',
      fix: 'Connect it, or correct disk.attachment. Names may change at a restart: those below /dev/disk/by-id stay.',
      facts: { path },
      cause,
    });
  }
  const isBusy = cause.code === 'EBUSY';
  return new RosettaVmError('E_STATE', {
    what: isBusy ? `The data disk is in use: ${path}` : `The data disk cannot be opened: ${path}`,
    why: isBusy ? 'It or a part of it is mounted, or the kernel uses it otherwise.' : cause.message,
    fix: isBusy
      ? 'Unmount it and all of its partitions first: two systems that write to one disk destroy what is on it.'
      : 'Give this user the right to read and write the device.',
    facts: { path },
    cause,
  });
}

const noBlockDevice = (path: string): RosettaVmError =>
  new RosettaVmError('E_INVALID', {
    what: `The data disk is no block device: ${path}`,
    why: 'disk.attachment names a device of this computer or an NBD export; a file of its own each machine has anyway.',
    fix: 'Name a block device such as /dev/sdb, or leave disk.attachment out.',
    facts: { path },
  });

const holdsSystem = (path: string): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `${path} holds a guest’s system.`,
    why: 'It has the mark of a system disk of rosetta-vm, by which the guest finds its root.',
    fix: 'Attach another disk as the data disk.',
    facts: { path },
  });

const tooSmall = (path: string, wanted: number): RosettaVmError =>
  new RosettaVmError('E_SIZE', {
    what: `The data disk is too small: ${path}`,
    why: `disk.size asks for at least ${formatSize(wanted)}, and it ends before that.`,
    fix: 'Attach a larger disk, or ask for less with disk.size.',
    facts: { field: 'disk.size', path, asked: wanted },
  });

async function checkNbdSocket(url: string): Promise<void> {
  const { server } = parseNbdUrl(url);
  if (server.type === 'inet') return;
  const file = await lstat(server.path).catch(() => null);
  if (file?.isSocket()) return;
  throw new RosettaVmError('E_NOT_FOUND', {
    what: `The server of a network block device is missing: ${url}`,
    why: file === null ? `There is no socket ${server.path}.` : `${server.path} is no socket.`,
    fix: 'Start the NBD server, then start the machine again.',
    facts: { url, path: server.path },
  });
}
