/** What every kind of benchmark is to the session: something that is prepared once and sampled again and again. */
import type { AgentClient, MachineSpec, Machines, ProgressSink, StatePaths } from '../../host/index.ts';
import type { HyperfineResult } from '../hyperfine.ts';
import type { ModeSwitch } from '../modes.ts';
import type { Arm, Counts, Measurement } from '../session.ts';
import type { DiskPlace } from './disk-machines.ts';

/** What a session works with. */
export interface Bench {
  readonly agent: AgentClient;
  readonly machines: Machines;
  readonly machine: string;
  readonly spec: MachineSpec;
  readonly paths: StatePaths;
  readonly modes: ModeSwitch;
  /** Where an arm `disk=…` is measured; may have to make a machine for it. */
  readonly diskPlace: (disk: string) => Promise<DiskPlace>;
  readonly mirror?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

export interface Sample {
  readonly value: number;
  /** Of a sample that hyperfine timed; its only time is `value`. */
  readonly timed?: HyperfineResult;
  /** SHA-256 (hex) of what it made. */
  readonly product?: string;
  /** Of the machine that it was taken in, where that is not the session's ({@link Measurement.disk}). */
  readonly disk?: string;
  readonly counts: Counts;
}

/** One benchmark, prepared. */
export interface BenchmarkRunner extends Pick<Measurement, 'unit' | 'smallerIsBetter'> {
  /** Untimed runs that each arm gets before its first sample. */
  readonly warmUps: number;
  /**
   * Takes one. Throws `E_EXEC`, `E_TIMEOUT` or `E_VERIFY` when the work failed or came out wrong, `E_STATE` when the arm
   * cannot be entered, `E_ABORTED`, and what ends a machine.
   */
  sample(arm: Arm): Promise<Sample>;
  /** Removes what it put into the guest. */
  dispose(): Promise<void>;
}
