/** Every method of a machine settles: these are their times. */

/** How long each thing may take, ms. */
export interface VzLimits {
  /** Network block devices are connected in it, and a guest's whole memory is reserved. */
  readonly start: number;
  readonly pause: number;
  readonly resume: number;
  readonly requestStop: number;
  /** What is written to disks is flushed in it. After it the machine is let go of all the same. */
  readonly stop: number;
  /** The framework never answers for a port on which nobody listens. */
  readonly connect: number;
  /** All memory that the guest uses goes to or comes from a file. */
  readonly save: number;
  readonly restore: number;
  /** From a state that says the machine has ended to the delegate's word on why. */
  readonly lastWord: number;
}

export const VZ_LIMITS: VzLimits = {
  start: 60_000,
  pause: 15_000,
  resume: 15_000,
  requestStop: 10_000,
  stop: 15_000,
  connect: 5_000,
  save: 300_000,
  restore: 300_000,
  lastWord: 2_000,
};
