/** What the router remembers of the starts of a program: from the third on most of them only read the cache. */
import { rm, truncate, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { COUNTER_BYTES, forgetPrograms, keepPrograms, recallPrograms } from '../../../guest/translators/exec-counts.ts';
import { type RoutedTranslator, routerTable } from '../../../guest/translators/router-table.ts';
import { BUILD_ID, compiledRouter, GLIBC } from './support/compiled-router.ts';
import { elfFile } from './support/elf.ts';

const { at, translators, run, counts } = compiledRouter();

describe('a program that has run a few times', () => {
  const settles = { ...translators[0], settledEnv: { BOX64_DYNACACHE: '2' } } as RoutedTranslator;
  const cacheOf = async (program: string, env: Record<string, string> = {}): Promise<string | undefined> =>
    (await run([at(program)], env)).env.BOX64_DYNACACHE;
  const starts = async (count: number, program = 'program', env: Record<string, string> = {}) => {
    const values: (string | undefined)[] = [];
    for (let i = 0; i < count; i += 1) values.push(await cacheOf(program, env));
    return values.join('');
  };
  beforeEach(async () => {
    for (const name of ['program', 'other']) {
      await writeFile(at(name), elfFile({ interpreter: GLIBC }), { mode: 0o755 });
    }
    await writeFile(at('table'), routerTable([settles, ...translators.slice(1)], []));
  });

  it('only reads the cache, three times in four, in place of the value that all get', async () => {
    expect(await starts(9)).toBe('112212221');
  });

  it('is told by its path and its build', async () => {
    await starts(2);
    expect(await starts(2, 'other')).toBe('11');
    await writeFile(at('program'), elfFile({ interpreter: GLIBC, buildId: BUILD_ID }), { mode: 0o755 });
    expect(await starts(3)).toBe('112');
  });

  it('does not pass that on to what it starts, takes it over what that was given, and leaves a user’s wish', async () => {
    expect(await cacheOf('program', { BOX64_DYNACACHE: '2' })).toBe('1');
    expect(await starts(2, 'program', { BOX64_DYNACACHE: '1' })).toBe('12');
    expect(await cacheOf('program', { BOX64_DYNACACHE: '0' })).toBe('0');
  });

  it('is a new one when the cache was emptied', async () => {
    await starts(3);
    const before = await counts();
    await forgetPrograms(at('counters'), at('kept'));
    expect(await starts(3)).toBe('112');
    expect(Object.keys(await counts())).toEqual(Object.keys(before));
  });

  describe('after a reboot', () => {
    const reboot = () => writeFile(at('counters'), Buffer.alloc(COUNTER_BYTES));
    beforeEach(async () => {
      await starts(2);
      await keepPrograms(at('counters'), at('kept'), 'box64=build');
      await reboot();
    });

    it('is one still, and what ran meanwhile keeps its own count', async () => {
      await starts(2, 'other');
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(1);
      expect(await starts(3)).toBe('221');
      expect(await starts(1, 'other')).toBe('2');
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
    });

    it('is a new one to other translators, and where what was kept is cut or gone', async () => {
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=other')).toBe(0);
      await truncate(at('kept'), 1000);
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
      await rm(at('kept'));
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
      expect(await starts(2)).toBe('11');
    });

    it('is a new one when the cache was emptied before', async () => {
      await forgetPrograms(at('counters'), at('kept'));
      expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
    });
  });

  it('is not counted while nothing is kept', async () => {
    await writeFile(at('table'), routerTable(translators, []));
    await starts(3);
    await writeFile(at('table'), routerTable([settles, ...translators.slice(1)], []));
    expect(await starts(2)).toBe('11');
  });

  it('writes where nobody can count', async () => {
    await truncate(at('counters'), 4096);
    expect(await starts(4)).toBe('1111');
    expect(await counts()).toMatchObject({ box64: { default: 4 } });
  });

  it('is kept from the cache where the deny list says so', async () => {
    await starts(2);
    const row = { from: 'cache', program: at('program'), reason: 'test', addedMs: 1 } as const;
    await writeFile(at('table'), routerTable([settles], [row]));
    expect(await cacheOf('program')).toBe('0');
  });
});
