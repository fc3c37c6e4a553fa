/** What a machine looks like from outside: the shapes that the library returns and that `--json` prints. */
import type { CacheStatus, EngineStatus, Health, TranslatorStatus } from '../../guest/protocol.ts';
import type { PublishedPort } from '../docker/ports.ts';
import type { MachinePlan } from '../plan/plan.ts';
import type { MachineSpec } from '../spec/spec.ts';

/**
 * - `stopped`: nothing of it runs; `up` starts it.
 * - `starting`: its host process runs, its agent does not answer yet.
 * - `running`: the agent answers.
 * - `stopping`: the host process is ending it.
 * - `unresponsive`: the host process holds the machine but does not answer; `down --force` ends it.
 * - `kept`: deleted with its data disk kept; `up` makes a new machine around that disk.
 * - `damaged`: its record cannot be read; `reason` says why and what helps.
 */
export type MachineState = 'stopped' | 'starting' | 'running' | 'stopping' | 'unresponsive' | 'kept' | 'damaged';

export interface MachineStatus {
  readonly name: string;
  readonly state: MachineState;
  /** Why it is in this state, when there is more to say: how it ended last, what does not answer. Else empty. */
  readonly reason: string;
  /** Folder of its disks and logs. */
  readonly directory: string;
  /** Image id; null when kept or damaged. */
  readonly image: string | null;
  /** What it runs with, or would be started with again; null when kept or damaged. */
  readonly spec: MachineSpec | null;
  /** Unix ms. */
  readonly createdAt: number | null;
  /** Disks and logs, bytes really occupied. */
  readonly diskBytes: number;
  /** Of these, the data disk. */
  readonly dataDiskBytes: number;
  readonly process: {
    readonly pid: number;
    /** Version of rosetta-vm that started it. */
    readonly version: string;
    /** Unix ms. */
    readonly startedAt: number;
    /** Resident memory of the host process alone, bytes. */
    readonly memoryBytes: number;
  } | null;
  /** From the agent; null unless `running`. */
  readonly health: Health | null;
  readonly translator: TranslatorStatus | null;
  readonly cache: CacheStatus | null;
  readonly engine: EngineStatus | null;
  readonly docker: {
    /** DOCKER_HOST for this machine, `unix://…`. */
    readonly host: string;
    /** What containers publish, and whether 127.0.0.1 of this host listens for it. */
    readonly ports: readonly PublishedPort[];
  } | null;
}

/** What `delete` would remove, or keep. */
export interface DeletionItem {
  readonly what: 'system disk' | 'data disk' | 'external disk' | 'logs and settings';
  /** Of an external disk: `disk.attachment`, the path of a device or an NBD URL. */
  readonly path: string;
  /** Bytes really occupied; null for an external disk, which is left as it is. */
  readonly bytes: number | null;
  readonly kept: boolean;
}

/** What `up --dry-run` shows. */
export interface DryRun {
  readonly plan: MachinePlan;
  /** Each process that would run, with its arguments. */
  readonly commands: readonly (readonly string[])[];
  /** False: `up` would build the image first (there is none, or the default one is another version's). */
  readonly imageExists: boolean;
}

/** How the machine ended last, kept in its folder. */
export interface LastStop {
  /** `failed`: it never came up, and `error` says why. */
  readonly kind: 'guest' | 'requested' | 'crashed' | 'killed' | 'failed';
  readonly message: string;
  /** {@link RosettaVmError.toJSON}; read back with `RosettaVmError.fromJSON`. */
  readonly error: Readonly<Record<string, unknown>> | null;
  /** Unix ms. */
  readonly at: number;
}
