/** How long a session will still take, told from what its samples took so far. */
import { formatDuration } from '../../host/cli/format.ts';

export class Remaining {
  readonly #spent = new Map<string, { ms: number; samples: number }>();
  readonly #left = new Map<string, number>();

  /** So many samples of this kind are to come. A kind is a benchmark in an arm. */
  plan(kind: string, samples: number): void {
    this.#left.set(kind, (this.#left.get(kind) ?? 0) + samples);
  }

  /** One of them was taken. */
  took(kind: string, ms: number): void {
    const { ms: before, samples } = this.#spent.get(kind) ?? { ms: 0, samples: 0 };
    this.#spent.set(kind, { ms: before + ms, samples: samples + 1 });
    this.#left.set(kind, Math.max(0, (this.#left.get(kind) ?? 0) - 1));
  }

  /** The others of this kind will not be taken. */
  drop(kind: string): void {
    this.#left.delete(kind);
  }

  /** Of what was planned, ms; null as long as nothing is known. A kind without a sample is taken to cost the mean. */
  get ms(): number | null {
    const all = [...this.#spent.values()];
    const samples = all.reduce((sum, one) => sum + one.samples, 0);
    if (samples === 0) return null;
    const mean = all.reduce((sum, one) => sum + one.ms, 0) / samples;
    return [...this.#left].reduce((sum, [kind, left]) => {
      const own = this.#spent.get(kind);
      return sum + left * (own === undefined ? mean : own.ms / own.samples);
    }, 0);
  }

  /** `, about 3 m 5 s to go`, or nothing while it is not known. */
  get text(): string {
    const { ms } = this;
    return ms === null || ms === 0 ? '' : `, about ${formatDuration(ms)} to go`;
  }
}
