/** Entries that stay for as long as they are used: at most so many, and none for longer than its idle time. */

export interface RecentOptions<K, V> {
  /** The entry that was not used for longest makes room for one more. */
  readonly limit: number;
  readonly idleMs: number;
  /** Called for each entry that goes, whatever the reason. */
  readonly onGone: (value: V, key: K) => void;
}

export class Recent<K, V> {
  /** In the order of their last use, which is the order of insertion of a Map. */
  readonly #entries = new Map<K, { readonly value: V; readonly usedMs: number }>();
  readonly #options: RecentOptions<K, V>;
  readonly #timer: NodeJS.Timeout;

  /** Looks for idle entries by itself, until {@link clear}; it does not keep the process alive. */
  constructor(options: RecentOptions<K, V>) {
    this.#options = options;
    // An entry then stays for at most half as long again.
    this.#timer = setInterval(() => this.#removeIdle(), options.idleMs / 2).unref();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry, which counts as used now; made by `make` when there is none. */
  use(key: K, make: () => V): V {
    const found = this.#entries.get(key);
    if (found === undefined && this.#entries.size >= this.#options.limit) this.#removeOldest();
    const value = found === undefined ? make() : found.value;
    this.#entries.delete(key);
    this.#entries.set(key, { value, usedMs: performance.now() });
    return value;
  }

  remove(key: K): void {
    const found = this.#entries.get(key);
    if (found === undefined) return;
    this.#entries.delete(key);
    this.#options.onGone(found.value, key);
  }

  /** Removes every entry and stops looking for idle ones. */
  clear(): void {
    clearInterval(this.#timer);
    for (const key of [...this.#entries.keys()]) this.remove(key);
  }

  #removeOldest(): void {
    for (const key of this.#entries.keys()) {
      this.remove(key);
      return;
    }
  }

  #removeIdle(): void {
    const since = performance.now() - this.#options.idleMs;
    for (const [key, { usedMs }] of this.#entries) {
      if (usedMs > since) return;
      this.remove(key);
    }
  }
}
