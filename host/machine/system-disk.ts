/**
 * The system disk of an image: made once, by the guest itself in a short-lived machine (makeSetupPlan), since only the
 * guest can make its file system on every host; kept beside the image and copied for each machine.
 */
import { randomInt } from 'node:crypto';
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import {
  SYSTEM_DISK_SIGNATURE,
  SYSTEM_MARKER_OFFSET,
  SYSTEM_PARTITION_OFFSET,
  systemDiskMarker,
} from '../../guest/protocol.ts';
import type { ImageRecord } from '../../images/image.ts';
import type { Driver, StopReason } from '../drivers/driver.ts';
import { RosettaVmError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { runtimeDirectory, type StatePaths } from '../paths.ts';
import { makeSetupPlan, SYSTEM_DISK_BYTES } from '../plan/make-plan.ts';
import { lock } from '../process/lock.ts';
import { type ProgressSink, stage } from '../progress.ts';
import type { MachineSpec } from '../spec/spec.ts';
import { MIB } from '../spec/units.ts';
import { growDisk } from './disks.ts';
import { hostFacts } from './host-facts.ts';
import { diskError, runSetupMachine, SETUP_TIMEOUT_MS } from './setup-machine.ts';

export interface SystemDiskRequest {
  readonly driver: Driver;
  readonly image: ImageRecord;
  /** Its accelerator counts. */
  readonly spec: MachineSpec;
  readonly paths: StatePaths;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: ProgressSink;
}

/**
 * Path of the finished disk, which is made when it is missing. Throws `E_CORRUPT`, `E_VM_FAILED` with what the guest said,
 * `E_DISK_FULL`, `E_TIMEOUT` or `E_ABORTED`; a disk that did not get finished is removed.
 */
export async function ensureSystemDisk(request: SystemDiskRequest): Promise<string> {
  const { image, signal } = request;
  const finished = path.join(image.directory, 'system.raw');
  if ((await systemDiskImage(finished)) === image.id) return finished;
  const held = await lock(path.join(image.directory, 'setup.lock'), {
    timeoutMs: SETUP_TIMEOUT_MS,
    signal,
    what: `The image ${image.name}`,
    onWait: () =>
      request.onProgress({ kind: 'note', message: 'Another command is setting up this image; waiting for it.' }),
  });
  try {
    if ((await systemDiskImage(finished)) === image.id) return finished;
    await stage(request.onProgress, 'image.setup', 'Setting up the system disk (once per image)', () =>
      setUp(request, finished),
    );
    return finished;
  } finally {
    await held.release();
  }
}

/** Longest marker that is looked for, bytes. */
const MARKER_BYTES = 64;

/**
 * Id of the image that a finished system disk was made from; null for one that is missing or unfinished: the initrd
 * writes the marker after everything else has reached the disk.
 */
export async function systemDiskImage(disk: string): Promise<string | null> {
  const handle = await open(disk, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MARKER_BYTES), 0, MARKER_BYTES, SYSTEM_MARKER_OFFSET);
    const text = buffer.toString('latin1', 0, bytesRead);
    const id = /[0-9a-f]{16}/.exec(text)?.[0];
    return id !== undefined && text.startsWith(systemDiskMarker(id)) ? id : null;
  } finally {
    await handle.close();
  }
}

async function setUp(
  { driver, image, spec, paths, signal, onProgress }: SystemDiskRequest,
  finished: string,
): Promise<void> {
  const { verifyImage } = await import('../../images/index.ts');
  await verifyImage(image);
  const directory = path.join(image.directory, 'setup');
  const runtime = runtimeDirectory(paths, `setup\0${image.id}`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(runtime, { recursive: true, mode: 0o700 });
  try {
    const place = { directory, runtimeDirectory: runtime, cid: randomInt(3, 2 ** 31 - 1) };
    const plan = makeSetupPlan(spec, hostFacts(), place, image);
    const disk = path.join(directory, 'system.raw');
    await growDisk(disk, SYSTEM_DISK_BYTES);
    await writePartitionTable(disk);
    const reason = await runSetupMachine({ driver, plan, directory, paths, signal, onProgress });
    if ((await systemDiskImage(disk)) !== image.id) throw await setupError(plan.serialLog, reason);
    await rename(disk, finished);
    await syncFolder(image.directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
    await rm(runtime, { recursive: true, force: true });
  }
}

const SECTOR_BYTES = 512;

/**
 * One Linux partition over the whole disk, in a classic MBR (UEFI 2.10, section 5.2.1): the table at 446, 16 bytes an
 * entry, the signature at 440. Cylinders and heads are the customary "too large to say".
 */
async function writePartitionTable(disk: string): Promise<void> {
  const table = Buffer.alloc(SECTOR_BYTES);
  table.writeUInt32LE(SYSTEM_DISK_SIGNATURE, 440);
  table.set([0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
  table.writeUInt32LE(SYSTEM_PARTITION_OFFSET / SECTOR_BYTES, 454);
  table.writeUInt32LE((SYSTEM_DISK_BYTES - SYSTEM_PARTITION_OFFSET) / SECTOR_BYTES, 458);
  table.writeUInt16LE(0xaa55, 510);
  const handle = await open(disk, 'r+');
  try {
    await handle.write(table, 0, table.length, 0);
  } finally {
    await handle.close();
  }
}

/** A write of the guest that finds less fails. */
const NEARLY_FULL_BYTES = 16 * MIB;

/** The last lines that the guest wrote; the whole log goes with the folder. */
async function setupError(serialLog: string, reason: StopReason): Promise<RosettaVmError> {
  // QEMU's NVMe device tells the guest of a full host as of any other error, and the host of nothing.
  const { bavail, bsize } = await statfs(path.dirname(serialLog));
  if (bavail * bsize < NEARLY_FULL_BYTES) return diskError('No space left for the system disk.');
  const tail = await lastLines(serialLog);
  return new RosettaVmError('E_VM_FAILED', {
    what: 'The system disk could not be set up.',
    why: /^rosetta-vm: setup failed: (.*)$/m.exec(tail)?.[1] ?? `${reason.message} The guest wrote last: ${tail}`,
    fix: 'Run the same command again; if it stays, build the image anew with `rosetta-vm image build`.',
  });
}

const TAIL_BYTES = 2048;

async function lastLines(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => null);
  if (handle === null) return '(nothing)';
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(TAIL_BYTES),
      0,
      TAIL_BYTES,
      Math.max(0, size - TAIL_BYTES),
    );
    return buffer.toString('utf8', 0, bytesRead).replaceAll('\r', '').trim();
  } finally {
    await handle.close();
  }
}
