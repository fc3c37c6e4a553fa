/** Puts the machine into a mode through its agent, as a user would with `rosetta-vm cache` and `rosetta-vm translator`. */
import { type AgentClient, RosettaVmError, type TranslatorName, type TranslatorStatus } from '../host/index.ts';
import type { Mode } from './workloads.ts';

/** What the kernel really starts for an x86_64 program. */
export type ActiveTranslator = NonNullable<TranslatorStatus['active']>;

export class ModeSwitch {
  readonly #agent: AgentClient;
  readonly #own: { readonly translator: TranslatorName; readonly cache: boolean };
  #active: ActiveTranslator;
  readonly #builds = new Map<string, string>();
  /** Null: not known yet. While the data disk is being mounted, a cache that is wanted is off for a moment. */
  #cache: boolean | null = null;

  private constructor(agent: AgentClient, active: ActiveTranslator, cache: boolean) {
    this.#agent = agent;
    this.#active = active;
    this.#builds.set(active.name, active.build);
    this.#own = { translator: active.name, cache };
  }

  /** What programs that start now run in. */
  get active(): ActiveTranslator {
    return this.#active;
  }

  /** Digest of the build of every translator that ran so far, by its name. */
  get builds(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#builds);
  }

  /**
   * Takes the machine with the translator that it has; {@link restore} goes back to that, and to a cache that is on or
   * off as its spec wants. Throws `E_STATE` when it has no translator.
   */
  static async take(agent: AgentClient, cache: boolean): Promise<ModeSwitch> {
    const { translator } = await agent.health();
    if (translator.active === undefined) throw noTranslator(translator.wanted, translator.reason);
    return new ModeSwitch(agent, translator.active, cache);
  }

  /** Resolves when programs that start now run in this mode, with what runs them. */
  async enter(mode: Mode): Promise<ActiveTranslator> {
    await this.set(mode === 'qemu' ? 'qemu' : this.#own.translator, mode === 'cold' || mode === 'warm');
    if (mode === 'cold') await this.#agent.cachePrune({ all: true });
    return this.#active;
  }

  async restore(): Promise<void> {
    await this.set(this.#own.translator, this.#own.cache);
  }

  /** The same for any translator of the machine's share. Throws `E_STATE` when it or the cache cannot be had. */
  async set(translator: TranslatorName, cache: boolean): Promise<ActiveTranslator> {
    if (this.#active.name !== translator) {
      const { active, reason } = await this.#agent.translatorSwitch({ name: translator });
      if (active?.name !== translator) throw noTranslator(translator, reason);
      this.#active = active;
      this.#builds.set(active.name, active.build);
    }
    if (this.#cache !== cache) {
      const { state, reason = '' } = await this.#agent.cacheSwitch({ enabled: cache });
      if ((state === 'on') !== cache) throw cacheStays(state, reason);
      this.#cache = cache;
    }
    return this.#active;
  }
}

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
