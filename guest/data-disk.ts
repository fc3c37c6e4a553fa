/** The data disk: made on first use, grown with its device, checked when it was not left clean, mounted. */
import { mkdir, statfs } from 'node:fs/promises';
import { RosettaVmError } from '../host/errors.ts';
import { type RunCommand, runOrThrow } from './agent/command.ts';
import type { PartLog } from './agent/log.ts';
import { mountSource } from './agent/mounts.ts';
import { applet, type GuestSettings } from './agent/settings.ts';
import { DATA_LABEL, diskContent } from './disk-content.ts';
import { deviceBytes, findDataDisk } from './disk-device.ts';
import { DiskWatch } from './disk-watch.ts';
import type { BootConfig, Health } from './protocol.ts';

/** A whole check of a large disk under emulation. */
const CHECK_TIMEOUT_MS = 15 * 60_000;
const STEP_TIMEOUT_MS = 5 * 60_000;

/** Brings the disk up and tells how it stands; a failure is a state, never a throw. */
export class DataDisk {
  #device: string;
  readonly #settings: GuestSettings;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  readonly #external: BootConfig['externalData'];
  #failure: string | undefined;
  /** Once it is mounted. */
  #watch: DiskWatch | undefined;

  constructor(
    { dataDevice, externalData }: Pick<BootConfig, 'dataDevice' | 'externalData'>,
    settings: GuestSettings,
    run: RunCommand,
    log: PartLog,
  ) {
    this.#device = dataDevice;
    this.#external = externalData;
    this.#settings = settings;
    this.#run = run;
    this.#log = log;
  }

  /** True when it was mounted, by this agent or by the one before it. */
  async bringUp(): Promise<boolean> {
    try {
      const { blockDirectory, dataDirectory, ext4Directory } = this.#settings;
      await mkdir(dataDirectory, { recursive: true });
      const mounted = await mountSource(dataDirectory);
      if (mounted !== null) this.#device = mounted;
      else await this.#prepareAndMount();
      const bytes = await deviceBytes(this.#device, blockDirectory);
      const mayVanish = this.#external !== undefined;
      this.#watch = new DiskWatch({ device: this.#device, bytes, ext4Directory, mayVanish });
    } catch (error) {
      this.#failure = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
      this.#log.error('The data disk is not usable.', { device: this.#device, reason: this.#failure });
    }
    return this.#failure === undefined;
  }

  async health(): Promise<Health['dataDisk']> {
    if (this.#failure !== undefined) return { state: 'failed', reason: this.#failure };
    if (this.#watch === undefined) return { state: 'mounting' };
    const problem = await this.#watch.problem();
    if (problem !== null) return { state: 'failed', reason: problem };
    try {
      const { blocks, bavail, bsize } = await statfs(this.#settings.dataDirectory);
      return { state: 'ready', totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch (error) {
      return { state: 'failed', reason: String(error) };
    }
  }

  async #prepareAndMount(): Promise<void> {
    this.#device = await findDataDisk(this.#device, this.#settings, this.#run);
    const bytes = await deviceBytes(this.#device, this.#settings.blockDirectory);
    const leastBytes = this.#external?.leastBytes ?? 0;
    if (bytes < leastBytes) throw tooSmall(this.#device, bytes, leastBytes);
    const content = await diskContent(this.#device, bytes, this.#run);
    if (content === 'blank') await this.#format();
    else await this.#check();
    await this.#mount();
    // Only grows, and only what the device grew by; online, so that a grown disk does not need a full check first.
    if (content === 'ours') await this.#step('resize2fs', this.#device);
  }

  async #format(): Promise<void> {
    this.#log.info('The data disk is blank; making its file system.', { device: this.#device });
    // The inode tables of a sparse disk are zero already: lazily left so, a 64 GiB disk takes seconds. A disk that is no
    // sparse file may have had another life, whose journal must not be taken for this one's (mke2fs(8)). root's reserve is
    // of no use where root is the only user.
    const lazy = `lazy_itable_init=1,lazy_journal_init=${this.#external === undefined ? 1 : 0},nodiscard`;
    await this.#step('mkfs.ext4', '-q', '-F', '-m', '0', '-L', DATA_LABEL, '-E', lazy, this.#device);
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

function tooSmall(device: string, bytes: number, leastBytes: number): RosettaVmError {
  return new RosettaVmError('E_SIZE', {
    what: `The data disk ${device} is too small.`,
    why: `It has ${bytes} bytes; the settings ask for at least ${leastBytes}.`,
    fix: 'Attach a larger disk, or ask for less with disk.size.',
    facts: { device, bytes, leastBytes },
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
