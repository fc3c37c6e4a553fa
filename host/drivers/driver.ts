/**
 * The one interface between the machine and what runs it. Nothing outside `host/drivers/<name>/` knows which driver
 * is in use; a driver's quirk is a capability with a reason, never a special case above.
 */
import type { Duplex } from 'node:stream';
import type { MachinePlan } from '../plan/plan.ts';
import type { ProgressSink } from '../progress.ts';

/** Names follow VZVirtualMachineState. */
export type VirtualMachineState =
  | 'stopped'
  | 'starting'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'resuming'
  | 'stopping'
  | 'error';

/** One thing that a host can or cannot do, for `doctor` and for the plan. */
export interface Capability {
  /** Stable identifier, such as `qemu`, `accelerator`, `virtiofs`, `vsock`, `save-restore`. */
  readonly id: string;
  readonly status: 'ok' | 'degraded' | 'missing';
  /** What was found, with its version or path. */
  readonly what: string;
  /** Why it is not `ok`; empty when it is. */
  readonly why: string;
  /** The command or step that mends it; empty when nothing is to be done. */
  readonly fix: string;
  /** Debian packages that `doctor --fix` installs for it. */
  readonly packages?: readonly string[];
}

export interface HostCapabilities {
  readonly driver: 'qemu' | 'vz';
  /** True when a machine can be started with what is here. */
  readonly usable: boolean;
  readonly capabilities: readonly Capability[];
}

export interface StopReason {
  readonly kind: 'guest' | 'requested' | 'crashed' | 'killed';
  readonly message: string;
}

/** Events: what happens to a virtual machine without being asked. */
export interface VirtualMachineEvents {
  state: [state: VirtualMachineState];
  /** A disk attachment (NBD) came or went, or reported an error. */
  disk: [
    event: {
      readonly role: string;
      readonly kind: 'connected' | 'error';
      readonly message: string;
    },
  ];
  stopped: [reason: StopReason];
}

/**
 * A virtual machine, alive as long as its owner process. State rules are VZVirtualMachine's: start from `stopped` or
 * `error`, pause from `running`, resume from `paused`, stop from `running` or `paused`; a call from another state
 * fails with `E_STATE`. Every method settles: each has a time limit of its own.
 */
export interface VirtualMachine {
  readonly state: VirtualMachineState;
  start(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Asks the guest to power off (ACPI); resolves when the request was made, not when it has stopped. */
  requestStop(): Promise<void>;
  /** Cuts the power; resolves when nothing of the machine runs any more. Safe from every state. */
  stop(): Promise<void>;
  /** Opens a stream to a vsock port of the guest. Fails with `E_TIMEOUT` or `E_VM_FAILED`, never hangs. */
  connect(port: number): Promise<Duplex>;
  /** Not every set of devices can be saved; then `E_HOST_UNSUPPORTED` says which device and why. */
  save(file: string): Promise<void>;
  restore(file: string): Promise<void>;
  on<K extends keyof VirtualMachineEvents>(event: K, listener: (...args: VirtualMachineEvents[K]) => void): this;
  off<K extends keyof VirtualMachineEvents>(event: K, listener: (...args: VirtualMachineEvents[K]) => void): this;
}

/** What runs a machine's host process. */
export interface HostProgram {
  /** The program with its first arguments; those of host-main.ts follow. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The process inherits these, from descriptor 3 on: locks that it holds as long as it lives. */
  readonly descriptors: readonly number[];
  /** Lets go of what this process held for the start. */
  release(): Promise<void>;
}

export interface PrepareOptions {
  readonly onProgress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
  /** Puts a yes-or-no question to the user; absent when there is nobody to ask. */
  readonly ask?: ((question: string) => Promise<boolean>) | undefined;
}

export interface Driver {
  readonly name: 'qemu' | 'vz';
  /** Looks at the host; never changes it. Bounded: under 10 s on the slowest host. */
  probe(): Promise<HostCapabilities>;
  /** Makes a machine from finished data. Nothing is started and nothing is written. */
  create(plan: MachinePlan): Promise<VirtualMachine>;
  /** What `up --dry-run` prints: each process that `start` would run, with its arguments. */
  explain(plan: MachinePlan): Promise<readonly (readonly string[])[]>;
  /**
   * What refused a spec, or the plan to be made of it, before this driver was asked: as the driver itself would tell it.
   * Absent: as it is.
   */
  refusal?(error: unknown): unknown;
  /**
   * What a new machine is given and keeps: {@link MachinePlan.machineIdentifier} in this driver's form. Absent: any UUID
   * will do.
   */
  newMachineIdentifier?(): Promise<string>;
  /** Brings what the host lacks for this plan and can be given with the user's consent. Absent: there is no such thing. */
  prepare?(plan: MachinePlan, options: PrepareOptions): Promise<void>;
  /** What {@link create}'s machines must run in. Absent: any process of this node will do. */
  hostProgram?(options: Omit<PrepareOptions, 'ask'>): Promise<HostProgram>;
  /** Calls back each time the host wakes from sleep, until closed. Absent: nobody tells. Rejects when it cannot be had. */
  watchWake?(onWake: () => void): Promise<{ close(): void }>;
}
