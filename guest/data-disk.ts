/** The data disk: made on first use, grown with its device, checked when it was not left clean, mounted. */
import { mkdir, open, readdir, readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../host/errors.ts';
import { type RunCommand, runOrThrow } from './agent/command.ts';
import type { PartLog } from './agent/log.ts';
import { isMountPoint } from './agent/mounts.ts';
import { applet, type GuestSettings } from './agent/settings.ts';
import { type Health, SYSTEM_DISK_SIGNATURE } from './protocol.ts';

/** Where ext4 keeps its magic: 0x38 into the superblock, which starts at 1024 (Documentation/filesystems/ext4). */
const MAGIC_OFFSET = 1024 + 0x38;
const MAGIC = 0xef53;
/** Of a partition table's disk signature (UEFI 2.10, section 5.2.1). */
const SIGNATURE_OFFSET = 440;
/** Enough to tell a blank disk from one that holds something else. */
const PROBE_BYTES = 64 * 1024;
/** A whole check of a large disk under emulation. */
const CHECK_TIMEOUT_MS = 15 * 60_000;
const STEP_TIMEOUT_MS = 5 * 60_000;

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
  throw new RosettaVmError('E_NOT_FOUND', {
    what: 'The data disk is not there.',
    why: `No NVMe namespace of controller ${controller} has the id ${namespace}.`,
    fix: 'Restart the machine with `rosetta-vm down` and `rosetta-vm up`.',
    facts: { device },
  });
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
  throw new RosettaVmError('E_NOT_FOUND', {
    what: 'The data disk is not there.',
    why: `${device} holds the system, and there is no other disk.`,
    fix: 'Restart the machine with `rosetta-vm down` and `rosetta-vm up`.',
    facts: { device },
  });
}

/** By the signature in the partition table that the host wrote (host/machine/system-disk.ts). */
async function isSystemDisk(device: string): Promise<boolean> {
  const file = await open(device, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, SIGNATURE_OFFSET);
    return bytesRead === 4 && buffer.readUInt32LE() === SYSTEM_DISK_SIGNATURE;
  } finally {
    await file.close();
  }
}

/** Brings the disk up and tells how it stands; a failure is a state, never a throw. */
export class DataDisk {
  #device: string;
  readonly #settings: GuestSettings;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  #failure: string | undefined;
  #mounted = false;

  constructor(device: string, settings: GuestSettings, run: RunCommand, log: PartLog) {
    this.#device = device;
    this.#settings = settings;
    this.#run = run;
    this.#log = log;
  }

  /** True when it was mounted, by this agent or by the one before it. */
  async bringUp(): Promise<boolean> {
    try {
      this.#mounted = await this.#isMounted();
      if (!this.#mounted) await this.#prepareAndMount();
      this.#mounted = true;
    } catch (error) {
      this.#failure = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
      this.#log.error('The data disk is not usable.', { device: this.#device, reason: this.#failure });
    }
    return this.#mounted;
  }

  async health(): Promise<Health['dataDisk']> {
    if (this.#failure !== undefined) return { state: 'failed', reason: this.#failure };
    if (!this.#mounted) return { state: 'mounting' };
    try {
      const { blocks, bavail, bsize } = await statfs(this.#settings.dataDirectory);
      return { state: 'ready', totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch (error) {
      return { state: 'failed', reason: String(error) };
    }
  }

  async #isMounted(): Promise<boolean> {
    await mkdir(this.#settings.dataDirectory, { recursive: true });
    return isMountPoint(this.#settings.dataDirectory);
  }

  async #prepareAndMount(): Promise<void> {
    const { blockDirectory } = this.#settings;
    this.#device = await notSystemDisk(await namespaceDevice(this.#device, blockDirectory), blockDirectory);
    const content = await probe(this.#device);
    if (content === 'foreign') throw foreign(this.#device);
    if (content === 'blank') await this.#format();
    else await this.#check();
    await this.#mount();
    // Only grows, and only what the device grew by; online, so that a grown disk does not need a full check first.
    if (content === 'ext4') await this.#step('resize2fs', this.#device);
  }

  async #format(): Promise<void> {
    this.#log.info('The data disk is blank; making its file system.', { device: this.#device });
    // The inode tables of a sparse disk are zero already: lazily left so, a 64 GiB disk takes seconds. root's reserve
    // is of no use where root is the only user.
    const lazy = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard';
    await this.#step('mkfs.ext4', '-q', '-F', '-m', '0', '-L', 'rvm-data', '-E', lazy, this.#device);
  }

  /** e2fsck(8) -p looks at a clean file system for an instant only; 0 clean, 1 and 2 corrected. */
  async #check(): Promise<void> {
    const { code, stdout } = await this.#run(['e2fsck', '-p', this.#device], CHECK_TIMEOUT_MS);
    if (code !== 0) this.#log.warn('The data disk was checked.', { code, said: stdout.trim() });
    if (code >= 4) throw damaged(this.#device, code, stdout);
  }

  /** lazytime: the cache's mount point keeps access times (cache/service.ts), and no exec should write one to the disk. */
  #mount(): Promise<string> {
    const options = ['-t', 'ext4', '-o', 'noatime,lazytime'];
    return this.#step(...applet(this.#settings, 'mount', ...options, this.#device, this.#settings.dataDirectory));
  }

  #step(...argv: [string, ...string[]]): Promise<string> {
    return runOrThrow(this.#run, argv, STEP_TIMEOUT_MS);
  }
}

/** Looks at the first bytes, so that only a disk that nobody has written to is formatted. */
async function probe(device: string): Promise<'blank' | 'ext4' | 'foreign'> {
  const file = await open(device, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0);
    if (bytesRead >= MAGIC_OFFSET + 2 && buffer.readUInt16LE(MAGIC_OFFSET) === MAGIC) return 'ext4';
    return buffer.subarray(0, bytesRead).every((byte) => byte === 0) ? 'blank' : 'foreign';
  } finally {
    await file.close();
  }
}

function foreign(device: string): RosettaVmError {
  return new RosettaVmError('E_STATE', {
    what: `The data disk ${device} holds something that is not ours.`,
    why: 'It is neither blank nor ext4.',
    fix: 'Attach another disk; this one is left as it is.',
    facts: { device },
  });
}

function damaged(device: string, code: number, said: string): RosettaVmError {
  return new RosettaVmError('E_CORRUPT', {
    what: `The data disk ${device} is damaged.`,
    why: `e2fsck ended with ${code}: ${said.trim().split('\n').slice(-2).join(' ')}`,
    fix: `Save what matters, then repair it in the guest with e2fsck -y ${device}, or delete the machine.`,
    facts: { device, code },
  });
}
