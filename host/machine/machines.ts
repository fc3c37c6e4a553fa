/** The library's face: machines by name. Every method works from any process; the truth is on disk and in the locks. */
import type { AgentClient } from '../channel/agent-client.ts';
import type { ProgressSink } from '../progress.ts';
import type { LoadedSpec, LoadSpecOptions } from '../spec/load.ts';
import type { MachineSpec } from '../spec/spec.ts';
import type { DeletionItem, DryRun, MachineStatus } from './machine.ts';

export interface UpOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
  /** Puts a yes-or-no question to the user, such as whether to install Rosetta; default: nobody is asked. */
  readonly ask?: ((question: string) => Promise<boolean>) | undefined;
  /** Debian mirror for building the image, when it does not exist yet. */
  readonly mirror?: string | undefined;
  /** Make a docker context for the machine and select it, until the machine stops; default: leave docker's files alone. */
  readonly dockerContext?: boolean | undefined;
}

export interface Machines {
  /** {@link loadSpec}; what is refused for what this host's machines cannot be has its driver's facts with it. */
  loadSpec(options: LoadSpecOptions): Promise<LoadedSpec>;
  /** Every machine, by name; also the kept data disks. */
  list(): Promise<MachineStatus[]>;
  /** Throws `E_NOT_FOUND`. */
  status(name: string): Promise<MachineStatus>;
  /**
   * Creates what is missing (image, machine), starts it, and resolves when its agent answers and its translator is
   * settled. A machine that runs already is returned as it is. A failed or aborted `up` leaves the state as it was.
   */
  up(name: string, spec: MachineSpec, options?: UpOptions): Promise<MachineStatus>;
  /** What `up` would do. Changes nothing. */
  dryRun(name: string, spec: MachineSpec): Promise<DryRun>;
  /**
   * Stops it: through the agent, then ACPI, then by cutting the power, each with a time limit; `force` cuts at once.
   * A machine that is stopped already is no error. Throws `E_NOT_FOUND`.
   */
  down(name: string, options?: { readonly force?: boolean; readonly onProgress?: ProgressSink }): Promise<void>;
  /** What {@link delete} would remove, with sizes. Throws `E_NOT_FOUND`. */
  deletion(name: string, options: { readonly keepData: boolean }): Promise<DeletionItem[]>;
  /** Removes a stopped machine. Throws `E_STATE` when it runs, `E_NOT_FOUND`. */
  delete(name: string, options: { readonly keepData: boolean }): Promise<void>;
  /** The agent of a running machine. Throws `E_STATE` when it does not run, `E_NOT_FOUND`. */
  agent(name: string): Promise<AgentClient>;
  /** Brings this version's agent into a running machine and resolves when it answers there; programs that it runs end. */
  refreshAgent(name: string): Promise<void>;
  /**
   * The serial console's text, from its beginning; with `follow`, until the machine stops or `signal` aborts. Also
   * works on a stopped machine. (The agent's own log is {@link AgentClient.logs}.)
   */
  bootLog(
    name: string,
    options: { readonly follow: boolean; readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
}
