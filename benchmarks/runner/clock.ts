/** Notices that the host's clock was set, or that the host slept: then a sample's time is no time of the work. */
import { asRosettaVmError, RosettaVmError } from '../../host/errors.ts';
import type { ProgressSink } from '../../host/progress.ts';

export interface Clocks {
  /** Unix ms, as the host's clock says. */
  wall(): number;
  /** ms, never set; without the time that the host slept. */
  monotonic(): number;
}

const BEAT_MS = 500;
/** Of the time between two looks at the clock so much counts: a beat that is late because the computer is busy. */
const LONGEST_BEAT_MS = 1_500;

/**
 * Time awake, where the monotonic clock goes on in sleep: libuv's is mach_continuous_time(3) on macOS. Nothing beats in
 * sleep, so that what lies between two beats beyond their usual distance was no time awake. Not run on a Mac.
 */
export class AwakeClock {
  readonly #now: () => number;
  #last: number;
  #awake = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
    // It must not keep the program alive.
    setInterval(() => this.read(), BEAT_MS).unref();
  }

  /** ms. */
  read(): number {
    const now = this.#now();
    this.#awake += Math.min(now - this.#last, LONGEST_BEAT_MS);
    this.#last = now;
    return this.#awake;
  }
}

function hostClocks(): Clocks {
  const wall = (): number => Date.now();
  // Elsewhere libuv's clock is CLOCK_MONOTONIC, which stands still in sleep (clock_gettime(2)).
  if (process.platform !== 'darwin') return { wall, monotonic: () => performance.now() };
  const awake = new AwakeClock();
  return { wall, monotonic: () => awake.read() };
}

/** NTP slews by at most 500 ppm (adjtimex(2)), which a sample of an hour does not bring over this. */
export const JUMP_MS = 2_000;

export class ClockWatch {
  readonly #clocks: Clocks;
  #offset: number;
  #longest = 0;

  constructor(clocks: Clocks = hostClocks()) {
    this.#clocks = clocks;
    this.#offset = this.#read();
  }

  #read(): number {
    return this.#clocks.wall() - this.#clocks.monotonic();
  }

  /** How far the two went apart since the last look, ms, without sign. */
  look(): number {
    const offset = this.#read();
    const jump = Math.abs(offset - this.#offset);
    this.#offset = offset;
    this.#longest = Math.max(this.#longest, jump);
    return jump;
  }

  /** The longest jump between two looks, ms. */
  get longestMs(): number {
    return Math.round(this.#longest);
  }
}

/** What was disturbed is done so often before it is given up. */
const TRIES = 3;

/**
 * Does it again while the clock jumps in it, as it may have failed for the same reason. Throws `E_VERIFY` when that happens
 * in every try, else what it throws.
 */
export async function undisturbed<T>(clock: ClockWatch, onProgress: ProgressSink, run: () => Promise<T>): Promise<T> {
  for (let left = TRIES; left > 0; left -= 1) {
    clock.look();
    const outcome = await run().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const jump = clock.look();
    if ('error' in outcome && (jump <= JUMP_MS || asRosettaVmError(outcome.error).code === 'E_ABORTED')) {
      throw outcome.error;
    }
    if ('value' in outcome && jump <= JUMP_MS) return outcome.value;
    const message = `The clock jumped by ${(jump / 1000).toFixed(1)} s in a sample, which does not count.`;
    onProgress({ kind: 'note', message });
  }
  throw new RosettaVmError('E_VERIFY', {
    what: 'The computer slept, or its clock was set, in each try.',
    why: `A time cannot be told when the clock jumps by more than ${JUMP_MS / 1000} s in it; ${TRIES} were taken.`,
    fix: 'Keep the computer awake, and let nothing set its clock while it measures.',
  });
}
