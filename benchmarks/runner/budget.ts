/** How much of a tier there is: samples, and the time after which no further ones are begun. */
import type { Fingerprint } from '../session.ts';
import type { Tier } from '../suites/schema.ts';
import type { Planned } from './run-session.ts';

export interface Extent {
  /** Samples an arm and round. Four rounds of five prove a difference among a dozen benchmarks (docs/STATISTICS.md). */
  readonly runs: number;
  /** Sampling that no further round goes beyond, ms; the first round is measured whatever it takes. Null: none. */
  readonly budgetMs: number | null;
}

export const EXTENTS: Readonly<Record<Tier, Extent>> = {
  quick: { runs: 5, budgetMs: 3 * 60_000 },
  standard: { runs: 10, budgetMs: null },
  full: { runs: 10, budgetMs: null },
};

/** The promise is for real hardware: an emulated CPU takes longer than that for one round, of which nothing could be said. */
export const budgetOf = (tier: Tier, { accelerator }: Pick<Fingerprint, 'accelerator'>): number | null =>
  accelerator === 'tcg' ? null : EXTENTS[tier].budgetMs;

export class Budget {
  readonly #limitMs: number | null;
  readonly #now: () => number;
  /** Of each benchmark's last round, ms. */
  readonly #rounds = new Map<Planned, number>();
  #spent = 0;

  constructor(limitMs: number | null, now: () => number = () => performance.now()) {
    this.#limitMs = limitMs;
    this.#now = now;
  }

  /** A benchmark's samples of one round. Throws what `sample` throws. */
  async round(planned: Planned, sample: () => Promise<void>): Promise<void> {
    const begun = this.#now();
    await sample();
    const took = this.#now() - begun;
    this.#spent += took;
    this.#rounds.set(planned, took);
  }

  /** Those of which another round fits, the shortest first so that it is as many as can be; in their order. */
  affordable(open: readonly Planned[]): readonly Planned[] {
    const limitMs = this.#limitMs;
    if (limitMs === null) return open;
    const costOf = (one: Planned): number => this.#rounds.get(one) ?? 0;
    let left = limitMs - this.#spent;
    const fitting = new Set<Planned>();
    for (const one of open.toSorted((a, b) => costOf(a) - costOf(b))) {
      left -= costOf(one);
      if (left < 0) break;
      fitting.add(one);
    }
    return open.filter((one) => fitting.has(one));
  }
}
