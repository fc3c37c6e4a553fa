/** One value for all of a machine, which is chosen to stay and may be borrowed for a while. */
export class Loans<T, R> {
  readonly #apply: (value: T) => Promise<R>;
  /** Who has another than the chosen value; the last one has it. */
  readonly #loans: { readonly value: T }[] = [];
  #chosen: T;
  #current: T;

  /** `apply` makes a value count. */
  constructor(chosen: T, apply: (value: T) => Promise<R>) {
    this.#chosen = chosen;
    this.#current = chosen;
    this.#apply = apply;
  }

  /** Counts at once, and again after every loan. Throws what `apply` throws. */
  choose(value: T): Promise<R> {
    this.#chosen = value;
    return this.#set(value);
  }

  /** Makes `value` count until what is answered has been called. Throws what `apply` throws, having given it back. */
  async borrow(value: T): Promise<() => Promise<void>> {
    const loan = { value };
    this.#loans.push(loan);
    const giveBack = async (): Promise<void> => {
      this.#loans.splice(this.#loans.indexOf(loan), 1);
      const next = this.#loans.at(-1)?.value ?? this.#chosen;
      if (this.#current !== next) await this.#set(next);
    };
    try {
      await this.#set(value);
    } catch (error) {
      await giveBack().catch(() => {});
      throw error;
    }
    return giveBack;
  }

  #set(value: T): Promise<R> {
    this.#current = value;
    return this.#apply(value);
  }
}
