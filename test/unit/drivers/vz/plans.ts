/** Plans for Macs, made as `up` makes them, and folders in which such a plan could start. */
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type HostFacts, makePlan, makeSetupPlan, runtimePlan } from '../../../../host/plan/make-plan.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import { type MachineSpecInput, parseSpec } from '../../../../host/spec/spec.ts';
import { GIB, MIB } from '../../../../host/spec/units.ts';

const IMAGE = {
  id: '0123456789abcdef',
  directory: '/images/0123456789abcdef',
  kernel: '/images/0123456789abcdef/vmlinuz',
  initialRamdisk: '/images/0123456789abcdef/initrd',
  translators: '/images/0123456789abcdef/translators',
};

const mac = (major: number): HostFacts => ({
  platform: 'darwin',
  cpus: 10,
  memoryBytes: 32 * GIB,
  macOS: { major, minor: 0, patch: 0 },
});

export function macPlan(spec: MachineSpecInput = {}, macOS = 15): MachinePlan {
  const machine = {
    name: 'ci',
    directory: '/machines/ci',
    runtimeDirectory: '/run/rvm/0123abcd',
    cid: 42,
    macAddress: '52:54:00:12:34:56',
    machineIdentifier: 'AQIDBAUGBwg=',
    dataDiskBytes: 0,
  };
  return makePlan(parseSpec(spec), mac(macOS), machine, IMAGE);
}

export function macSetupPlan(macOS = 15): MachinePlan {
  const place = { directory: '/images/0123456789abcdef/setup', runtimeDirectory: '/run/rvm/89abcdef', cid: 43 };
  return makeSetupPlan(parseSpec({}), mac(macOS), place, IMAGE);
}

/** The first 64 bytes of an arm64 kernel's Image: enough for whoever only looks (Documentation/arch/arm64/booting.rst). */
const IMAGE_HEADER = Buffer.concat([Buffer.alloc(56), Buffer.from('ARM\x64\0\0\0\0', 'latin1')]);
const DISK_BYTES = 1 * MIB;

/** Plans whose files exist; {@link PlanFolder.remove} takes them all away. */
export class PlanFolder {
  readonly #folders: string[] = [];

  async plan(): Promise<MachinePlan> {
    const folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
    this.#folders.push(folder);
    await writeFile(path.join(folder, 'vmlinuz'), IMAGE_HEADER);
    await mkdir(path.join(folder, 'share'));
    const disk = path.join(folder, 'data.raw');
    await writeFile(disk, '');
    await truncate(disk, DISK_BYTES);
    return {
      ...macPlan({ translator: 'box64' }),
      cpus: 1,
      memoryMiB: 256,
      boot: { kernel: path.join(folder, 'vmlinuz'), initialRamdisk: null, commandLine: 'console=hvc0' },
      disks: [
        {
          role: 'data',
          attachment: { kind: 'file', path: disk },
          sizeBytes: DISK_BYTES,
          bus: 'nvme',
          readOnly: false,
          guestDevice: '/dev/nvme0n1',
        },
      ],
      shares: [{ tag: 'rvm-boot', path: path.join(folder, 'share'), readOnly: true, mountPoint: null }],
      serialLog: path.join(folder, 'serial.log'),
      runtime: runtimePlan(path.join(folder, 'run')),
    };
  }

  async remove(): Promise<void> {
    await Promise.all(this.#folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  }
}
