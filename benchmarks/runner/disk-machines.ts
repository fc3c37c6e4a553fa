/**
 * Where an arm `disk=…` is measured: in the session's machine when it has no other disk than that, else in machines of
 * their own, one for each disk. They stand side by side, so that samples are taken in turn as in every other arm.
 */
import { totalmem } from 'node:os';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import type { AgentClient, MachineSpec, Machines, ProgressSink, StatePaths } from '../../host/index.ts';
import { runtimeDirectory } from '../../host/paths.ts';
import type { DiskPlan } from '../../host/plan/plan.ts';
import { stage } from '../../host/progress.ts';
import { formatSize, GIB, MIB } from '../../host/spec/units.ts';
import { removeStartMachine } from '../start.ts';
import type { DiskMode } from './matrix.ts';
import { findNbdServer, type NbdServer, startNbdServer } from './nbd-server.ts';

/** Holds fio with what it needs, and its largest set of files (suites/disk.yaml); sparse. */
const DISK_BYTES = 8 * GIB;

export interface DiskPlace {
  readonly agent: AgentClient;
  /** Of the fingerprint, where it is not the session's. */
  readonly disk?: string;
}

export interface DiskMachinesOptions {
  readonly machines: Machines;
  readonly paths: StatePaths;
  /** As the session's machine has it, with what was chosen for it. */
  readonly like: {
    readonly spec: MachineSpec;
    readonly image: string;
    readonly cpus: number;
    readonly memoryMiB: number;
  };
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

/** `nvme, file`: what of a disk decides how fast it is. */
export const describeDisk = ({ bus, attachment }: Pick<DiskPlan, 'bus' | 'attachment'>): string =>
  `${bus}, ${attachment.kind}`;

/** The value of the dimension `disk` that a machine has itself, from what {@link describeDisk} says of it. */
export function diskMode(described: string): string {
  const [bus = '', attachment] = described.split(', ');
  return attachment === 'nbd' ? attachment : bus;
}

/** What their names begin with, and the name of the lock of whoever uses them. */
export const DISK_MACHINES = 'bench-disk';
const machineName = (disk: string): string => `${DISK_MACHINES}-${disk}`;

export class DiskMachines {
  readonly #options: DiskMachinesOptions;
  readonly #places = new Map<string, DiskPlace>();
  readonly #made = new Set<string>();
  #server: NbdServer | undefined;

  constructor(options: DiskMachinesOptions) {
    this.#options = options;
  }

  /**
   * Throws `E_SIZE` when this host has not the memory for so many machines at once beside the session's own, and
   * `E_HOST_MISSING` when one of them needs an NBD server and there is none.
   */
  async check(disks: readonly DiskMode[]): Promise<void> {
    if (disks.includes('nbd')) await findNbdServer();
    const { memoryMiB } = this.#options.like;
    const needed = (disks.length + 1) * memoryMiB * MIB;
    if (needed <= totalmem()) return;
    throw new RosettaVmError('E_SIZE', {
      what: `${disks.length} machines of ${formatSize(memoryMiB * MIB)} do not fit beside the one that is measured.`,
      why: `Each disk is measured in a machine of its own, all at once; this host has ${formatSize(totalmem())}.`,
      fix: 'Name fewer disks, or measure in a machine with less memory.',
      facts: { needed, available: totalmem() },
    });
  }

  /** Makes the machine of this disk when it is asked for first. */
  async place(disk: string): Promise<DiskPlace> {
    const known = this.#places.get(disk);
    if (known !== undefined) return known;
    const { onProgress } = this.#options;
    const place = await stage(onProgress, 'bench.disk', `A machine of its own for disk=${disk}`, () =>
      this.#make(disk),
    );
    this.#places.set(disk, place);
    return place;
  }

  async #make(disk: string): Promise<DiskPlace> {
    const { machines, like, signal } = this.#options;
    const name = machineName(disk);
    await removeStartMachine({ machines, name });
    this.#made.add(name);
    const attached = disk === 'nbd' ? { attachment: await this.#serve(name) } : {};
    const spec: MachineSpec = {
      ...like.spec,
      ...{ image: like.image, cpus: like.cpus, memory: like.memoryMiB * MIB, shares: [] },
      disk: { size: DISK_BYTES, bus: disk === 'virtio' ? 'virtio' : 'nvme', ...attached },
      engine: { ...like.spec.engine, enabled: false },
    };
    const { plan } = await machines.dryRun(name, spec);
    await machines.up(name, spec, { signal });
    const data = plan.disks.find(({ role }) => role === 'data') as DiskPlan;
    return { agent: await machines.agent(name), disk: `${describeDisk(data)}, own machine` };
  }

  /** Address of a server for this machine. */
  async #serve(machine: string): Promise<string> {
    const { paths, signal } = this.#options;
    this.#server = await startNbdServer({
      directory: path.join(paths.machines, `${machine}.server`),
      runtimeDirectory: runtimeDirectory(paths, `${machine}\0server`),
      ...{ bytes: DISK_BYTES, signal },
    });
    return this.#server.url;
  }

  /** Nothing is left behind, whatever happened. Also after Ctrl-C, when the session's own signal would end it at once. */
  async remove(): Promise<void> {
    const { machines } = this.#options;
    // Each is tried: one that cannot be removed must not keep the others.
    const removed = await Promise.allSettled([...this.#made].map((name) => removeStartMachine({ machines, name })));
    this.#places.clear();
    await this.#server?.close();
    const failed = removed.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
