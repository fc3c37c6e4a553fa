/** Puts the machine into a mode through its agent, as a user would with `rosetta-vm cache` and `rosetta-vm translator`. */
import { type AgentClient, RosettaVmError, type TranslatorName, type TranslatorStatus } from '../host/index.ts';
import type { Mode } from './workloads.ts';

/** What the kernel really starts for an x86_64 program. */
export type ActiveTranslator = NonNullable<TranslatorStatus['active']>;

export class ModeSwitch {
  readonly #agent: AgentClient;
  readonly #initial: { readonly translator: TranslatorName; readonly cache: boolean };
  #active: ActiveTranslator;
  #cache: boolean;

  private constructor(agent: AgentClient, active: ActiveTranslator, cache: boolean) {
    this.#agent = agent;
    this.#active = active;
    this.#cache = cache;
    this.#initial = { translator: active.name, cache };
  }

  /** Takes the machine as it is; {@link restore} brings it back there. Throws `E_STATE` when it has no translator. */
  static async take(agent: AgentClient): Promise<ModeSwitch> {
    const { translator, cache } = await agent.health();
    if (translator.active === undefined) throw noTranslator(translator.wanted, translator.reason);
    return new ModeSwitch(agent, translator.active, cache.state === 'on');
  }

  /** Resolves when programs that start now run in this mode, with what runs them. */
  async enter(mode: Mode): Promise<ActiveTranslator> {
    await this.#set(mode === 'qemu' ? 'qemu' : this.#initial.translator, mode === 'cold' || mode === 'warm');
    if (mode === 'cold') await this.#agent.cachePrune({ all: true });
    return this.#active;
  }

  async restore(): Promise<void> {
    await this.#set(this.#initial.translator, this.#initial.cache);
  }

  async #set(translator: TranslatorName, cache: boolean): Promise<void> {
    if (this.#active.name !== translator) {
      const { active, reason } = await this.#agent.translatorSwitch({ name: translator });
      if (active?.name !== translator) throw noTranslator(translator, reason);
      this.#active = active;
    }
    if (this.#cache !== cache) {
      const { state, reason = '' } = await this.#agent.cacheSwitch({ enabled: cache });
      if ((state === 'on') !== cache) throw cacheStays(state, reason);
      this.#cache = cache;
    }
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
