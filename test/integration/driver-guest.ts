/**
 * Machines for the driver's tests: the image's kernel with no root file system. It stops at a panic a second after
 * power-on and, with `panic=0`, stays there: a guest that runs for ever, needs no image and listens nowhere.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { qemuDriver } from '../../host/drivers/qemu/driver.ts';
import { statePaths } from '../../host/paths.ts';
import { runtimePlan } from '../../host/plan/make-plan.ts';
import type { DiskPlan, MachinePlan } from '../../host/plan/plan.ts';
import { MIB } from '../../host/spec/units.ts';
import { findImage } from '../../images/index.ts';

const DISK_BYTES = 4 * MIB;
/** Context identifiers of machines are counted up from 3 (host/machine/record.ts); this one is far from them. */
const TEST_CID = 70_001;

export const driver = qemuDriver({ toolsDirectory: statePaths().tools });

const folders: string[] = [];

/** A plan with a folder of its own, removed by {@link removeGuests}. `panic`: seconds until a panic resets; 0: never. */
export async function makeGuestPlan(panic = 0): Promise<MachinePlan> {
  const { kernel } = await findImage(statePaths(), 'default');
  const directory = await mkdtemp(path.join(tmpdir(), 'rvm-driver-'));
  folders.push(directory);
  await mkdir(path.join(directory, 'share'));
  const run = path.join(directory, 'run');
  return {
    schemaVersion: 1,
    name: 'driver-test',
    driver: 'qemu',
    cpus: 1,
    memoryMiB: 256,
    boot: { kernel, initialRamdisk: null, commandLine: `console=ttyAMA0 root=/dev/nvme0n1 panic=${panic}` },
    disks: [await disk(directory, 'system', 1), await disk(directory, 'data', 2)],
    shares: [{ tag: 'rvm-boot', path: path.join(directory, 'share'), readOnly: true, mountPoint: null }],
    translator: { name: 'box64', tag: 'rvm-translators' },
    cache: { enabled: false, limitBytes: 0 },
    engine: { enabled: false, buildCacheBytes: 0 },
    vsock: { cid: TEST_CID },
    network: { kind: 'nat', macAddress: '52:54:00:12:34:56' },
    machineIdentifier: '00000000-0000-4000-8000-000000000002',
    serialLog: path.join(directory, 'serial.log'),
    runtime: runtimePlan(run),
    qemu: { accelerator: 'auto' },
  };
}

async function disk(directory: string, role: DiskPlan['role'], namespace: number): Promise<DiskPlan> {
  const file = path.join(directory, `${role}.raw`);
  await writeFile(file, '');
  await truncate(file, DISK_BYTES);
  return {
    role,
    attachment: { kind: 'file', path: file },
    sizeBytes: DISK_BYTES,
    bus: 'nvme',
    readOnly: false,
    guestDevice: `/dev/nvme0n${namespace}`,
  };
}

export async function removeGuests(): Promise<void> {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
}

export interface GuestProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Processes that name the machine's socket folder: QEMU, virtiofsd and vhost-device-vsock all do. */
export async function processesOf({ runtime }: MachinePlan): Promise<GuestProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(
    pids.map(async (pid) => ({
      pid: Number(pid),
      // Arguments end with NUL; empty for a zombie. A process may end while it is looked at.
      commandLine: (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' '),
    })),
  );
  return all.filter(({ commandLine }) => commandLine.includes(`${runtime.directory}/`));
}
