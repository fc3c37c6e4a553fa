/** The machine's mode, over an agent that switches as the guest's does. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ModeSwitch } from '../../../benchmarks/modes.ts';
import { RosettaVmError } from '../../../host/errors.ts';
import type { AgentClient, TranslatorName } from '../../../host/index.ts';

/** A switch that fails leaves a translator that is wanted and not ready, as guest/translators/service.ts does. */
class Guest {
  wanted: TranslatorName = 'box64';
  proved = true;
  reason: string | undefined;
  cache = true;
  unprovable: TranslatorName | undefined;
  readonly calls: string[] = [];

  readonly agent = {
    health: async () => ({ translator: this.#status() }),
    translatorSwitch: async ({ name }: { readonly name: TranslatorName }) => {
      this.calls.push(name);
      this.wanted = name;
      this.proved = name !== 'rosetta' && name !== this.unprovable;
      this.reason = this.proved ? undefined : 'A test program ran as nothing and failed.';
      if (name === 'rosetta') {
        throw new RosettaVmError('E_STATE', { what: 'The machine was started without rosetta.', why: '-', fix: '-' });
      }
      return this.#status();
    },
    cacheSwitch: async ({ enabled }: { readonly enabled: boolean }) => {
      this.calls.push(enabled ? 'cache on' : 'cache off');
      this.cache = enabled;
      if (this.wanted === 'qemu') return { backend: 'none', state: 'off', reason: 'It keeps no translations.' };
      return { backend: 'dynacache', state: enabled ? 'on' : 'off' };
    },
    cachePrune: async () => {
      this.calls.push('prune');
    },
  } as unknown as AgentClient;

  #status() {
    const active = { name: this.wanted, build: `${this.wanted}-build`, proved: this.proved };
    return { wanted: this.wanted, ...(this.reason === undefined ? {} : { reason: this.reason }), active };
  }
}

let guest = new Guest();
beforeEach(() => {
  guest = new Guest();
});

describe('a translator that cannot be had', () => {
  test('leaves a machine that is brought back all the same', async () => {
    const modes = await ModeSwitch.take(guest.agent, true);
    await expect(modes.set('rosetta', false)).rejects.toMatchObject({ code: 'E_STATE' });
    await modes.restore();
    expect({ wanted: guest.wanted, proved: guest.proved, cache: guest.cache }).toEqual({
      ...{ wanted: 'box64', proved: true, cache: true },
    });
  });

  test('is refused before anything is measured, and the machine has its own again', async () => {
    const modes = await ModeSwitch.take(guest.agent, true);
    await expect(modes.prove(['box64', 'rosetta'])).rejects.toMatchObject({
      what: 'The machine was started without rosetta.',
    });
    expect(guest.wanted).toBe('box64');
  });

  test('is also one that runs no test program', async () => {
    guest.unprovable = 'qemu';
    const modes = await ModeSwitch.take(guest.agent, true);
    await expect(modes.set('qemu', false)).rejects.toMatchObject({
      code: 'E_STATE',
      why: expect.stringMatching(/^A test/),
    });
    guest.wanted = 'box64';
    guest.proved = false;
    await expect(ModeSwitch.take(guest.agent, true)).rejects.toMatchObject({ code: 'E_STATE' });
  });
});

describe('switching', () => {
  test('asks for what changes alone, and knows the build of all that ran', async () => {
    const modes = await ModeSwitch.take(guest.agent, true);
    await modes.prove(['box64', 'qemu']);
    expect(guest.calls).toEqual(['qemu', 'box64']);
    await modes.set('box64', true);
    await modes.set('box64', true);
    expect(guest.calls.slice(2)).toEqual(['cache on']);
    expect(modes.builds).toEqual({ box64: 'box64-build', qemu: 'qemu-build' });
  });

  test('a machine whose own translator keeps nothing gets back the cache that its spec wants', async () => {
    guest.wanted = 'qemu';
    const modes = await ModeSwitch.take(guest.agent, true);
    await modes.set('qemu', false);
    await modes.restore();
    expect(guest.cache).toBe(true);
  });
});
