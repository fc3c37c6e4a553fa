/** Puts the machine into a mode through its agent, as a user would with `rosetta-vm cache` and `rosetta-vm translator`. */
import { type AgentClient, RosettaVmError, type TranslatorName, type TranslatorStatus } from '../host/index.ts';
import type { Mode } from './workloads.ts';

/** What the kernel really starts for an x86_64 program. */
export type ActiveTranslator = NonNullable<TranslatorStatus['active']>;

export class ModeSwitch {
  readonly #agent: AgentClient;
  readonly #own: { readonly translator: TranslatorName; readonly cache: boolean };
  /** Null: not known, as a switch to another one did not come to its end. */
  #active: ActiveTranslator | null;
  readonly #builds = new Map<string, string>();
  /** Null: not known yet. While the data disk is being mounted, a cache that is wanted is off for a moment. */
  #cache: boolean | null = null;
  /** By translator, each having a cache of its own: how often each work ran with it since it was last emptied. */
  readonly #runs = new Map<TranslatorName, Map<string, number>>();

  private constructor(agent: AgentClient, active: ActiveTranslator, cache: boolean) {
    this.#agent = agent;
    this.#active = active;
    this.#builds.set(active.name, active.build);
    this.#own = { translator: active.name, cache };
  }

  /** The translator that the machine was taken with. */
  get own(): TranslatorName {
    return this.#own.translator;
  }

  /** Digest of the build of every translator that ran so far, by its name. */
  get builds(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#builds);
  }

  /**
   * Takes the machine with the translator that it has; {@link restore} goes back to that, and to a cache that is on or
   * off as its spec wants. Throws `E_STATE` when it has no translator, or one that was not proved.
   */
  static async take(agent: AgentClient, cache: boolean): Promise<ModeSwitch> {
    const { translator } = await agent.health();
    const { active, wanted, reason } = translator;
    if (active?.proved !== true) throw noTranslator(active?.name ?? wanted, reason);
    return new ModeSwitch(agent, active, cache);
  }

  /**
   * Starts each of them once and goes back to the machine's own, so that one which cannot be had is known before anything
   * is measured. Throws `E_STATE` and what the guest says of that one.
   */
  async prove(translators: Iterable<TranslatorName>): Promise<void> {
    try {
      for (const name of translators) await this.#translate(name);
    } catch (error) {
      // The first error tells more than that a machine which broke cannot be brought back either.
      await this.#translate(this.#own.translator).catch(() => {});
      throw error;
    }
    await this.#translate(this.#own.translator);
  }

  /** Resolves when programs that start now run in this mode, with what runs them. */
  async enter(mode: Mode): Promise<ActiveTranslator> {
    const active = await this.set(mode === 'qemu' ? 'qemu' : this.#own.translator, mode === 'cold' || mode === 'warm');
    if (mode === 'cold') await this.emptyCache();
    return active;
  }

  async restore(): Promise<void> {
    await this.set(this.#own.translator, this.#own.cache);
  }

  /** The same for any translator of the machine's share. Throws `E_STATE` when it or the cache cannot be had. */
  async set(translator: TranslatorName, cache: boolean): Promise<ActiveTranslator> {
    const active = await this.#translate(translator);
    if (this.#cache !== cache) {
      this.#cache = null;
      const { backend, state, reason = '' } = await this.#agent.cacheSwitch({ enabled: cache });
      // A translator without one can still leave it switched on for the others.
      if (backend !== 'none' && (state === 'on') !== cache) throw cacheStays(state, reason);
      this.#cache = cache;
    }
    return active;
  }

  async #translate(name: TranslatorName): Promise<ActiveTranslator> {
    if (this.#active?.name === name) return this.#active;
    // A switch that fails leaves the machine without a translator that is ready: the next one must not be left out.
    this.#active = null;
    const { active, reason } = await this.#agent.translatorSwitch({ name });
    if (active?.name !== name || !active.proved) throw noTranslator(name, reason);
    this.#active = active;
    this.#builds.set(active.name, active.build);
    return active;
  }

  /** Empties the cache of the translator that programs run in, whoever filled it. */
  async emptyCache(signal?: AbortSignal): Promise<void> {
    this.#runs.clear();
    await this.#agent.cachePrune({ all: true }, { signal });
  }

  /** Whether the cache of this translator holds what this work needs, so that a run of it finds everything. */
  isFilled(translator: TranslatorName, work: string): boolean {
    return (this.#runs.get(translator)?.get(work) ?? 0) >= FILLING_RUNS;
  }

  /** The work ran to its end with this translator and the cache on. */
  ran(translator: TranslatorName, work: string): void {
    const runs = this.#runs.get(translator) ?? new Map<string, number>();
    this.#runs.set(translator, runs.set(work, (runs.get(work) ?? 0) + 1));
  }
}

/** The router lets the first two starts of a program write what they translate (guest/router/router.c, is_settled). */
const FILLING_RUNS = 2;

const noTranslator = (name: string, reason = 'The guest gave no reason.'): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `The translator ${name} does not run in the machine.`,
    why: reason,
    fix: '`rosetta-vm logs` shows what the guest says; `rosetta-vm down` and `up` start the machine anew.',
    facts: { translator: name },
  });

const cacheStays = (state: string, reason: string): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: 'The translation cache could not be switched.',
    why: `It is ${state}. ${reason}`.trim(),
    fix: '`rosetta-vm logs` shows what the guest says.',
    facts: { state },
  });
