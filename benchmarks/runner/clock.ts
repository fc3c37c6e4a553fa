/** Notices that the host's clock was set, or that the host slept: then a sample's time is no time of the work. */

export interface Clocks {
  /** Unix ms, as the host's clock says. */
  wall(): number;
  /** ms, never set; does not count sleep on every system. */
  monotonic(): number;
}

const HOST: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() };

/** NTP slews by at most 500 ppm (adjtimex(2)), which a sample of an hour does not bring over this. */
export const JUMP_MS = 2_000;

export class ClockWatch {
  readonly #clocks: Clocks;
  #offset: number;
  #longest = 0;

  constructor(clocks: Clocks = HOST) {
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
