import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXTENTS } from '../../../../benchmarks/runner/budget.ts';
import { choose, keyOf, loadSuites } from '../../../../benchmarks/suites/load.ts';
import { parseSuite } from '../../../../benchmarks/suites/schema.ts';

const command = {
  id: 'true',
  kind: 'command',
  title: '/bin/true',
  tier: 'quick',
  tree: 'small',
  command: ['/bin/true'],
  limitSeconds: 10,
};
const suite = { suite: 'exec', title: 'Programs', trees: { small: ['coreutils'] }, benchmarks: [command] };

describe('a suite’s file', () => {
  test('what is left out has its default', () => {
    expect(parseSuite(suite, 'exec.yaml').benchmarks).toEqual([
      { ...command, cannotRun: {}, directory: '/', inputs: [], setup: [], warmUps: 1, native: true },
    ]);
  });

  test('an unknown key of a benchmark is told with the one that was meant', () => {
    const wrong = { ...suite, benchmarks: [{ ...command, limitSecond: 3 }] };
    expect(() => parseSuite(wrong, 'exec.yaml')).toThrow(
      expect.objectContaining({ code: 'E_INVALID', fix: 'Did you mean "limitSeconds"?' }),
    );
  });

  test('an unknown key at the top is told too', () => {
    expect(() => parseSuite({ ...suite, benchmark: [] }, 'exec.yaml')).toThrow(
      expect.objectContaining({ code: 'E_INVALID', fix: 'Did you mean "benchmarks"?' }),
    );
  });

  test('a tree that is not described is told with the one that was meant', () => {
    const wrong = { ...suite, benchmarks: [{ ...command, tree: 'smal' }] };
    expect(() => parseSuite(wrong, 'exec.yaml')).toThrow(expect.objectContaining({ fix: 'Did you mean "small"?' }));
  });

  test('two benchmarks of one name are refused', () => {
    expect(() => parseSuite({ ...suite, benchmarks: [command, command] }, 'exec.yaml')).toThrow(/Two benchmarks/);
  });

  test('a path that overlayfs would take for two is refused', () => {
    const wrong = { ...suite, benchmarks: [{ ...command, directory: '/a:b' }] };
    expect(() => parseSuite(wrong, 'exec.yaml')).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });

  test('whatever it holds, it is read or refused as invalid', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        try {
          parseSuite(data, 'any.yaml');
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_INVALID' });
        }
      }),
    );
  });
});

describe('the package’s own suites', () => {
  test('can all be read, and each has a benchmark of the quick tier', async () => {
    const suites = await loadSuites();
    expect(suites.map(({ suite: name }) => name)).toEqual(['exec', 'compile', 'install', 'channel', 'disk', 'boot']);
    for (const one of suites) expect(one.benchmarks.map(({ tier }) => tier)).toContain('quick');
  });

  test('a larger tier has all of the smaller ones', async () => {
    const suites = await loadSuites();
    const names = (tier: 'quick' | 'standard' | 'full'): string[] =>
      choose(suites, { tier, suites: [], benchmarks: [] }).map(keyOf);
    expect(names('standard')).toEqual(expect.arrayContaining(names('quick')));
    expect(names('full')).toEqual(expect.arrayContaining(names('standard')));
    expect(names('full').length).toBeGreaterThan(names('quick').length);
  });

  test('of the quick tier’s three minutes, fio takes no more than half, its untimed run too', async () => {
    const chosen = choose(await loadSuites(), { tier: 'quick', suites: ['disk'], benchmarks: [] });
    const seconds = chosen.map(({ benchmark }) => {
      if (benchmark.kind !== 'fio') throw new Error('The suite has something else.');
      return Number(benchmark.options.runtime) * ((benchmark.runs ?? EXTENTS.quick.runs) + 1);
    });
    expect(seconds.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual((EXTENTS.quick.budgetMs ?? 0) / 2_000);
  });

  test('one that is named is taken whatever its tier', async () => {
    const chosen = choose(await loadSuites(), {
      tier: 'quick',
      suites: [],
      benchmarks: ['compile/hello-make', 'perl'],
    });
    expect(chosen.map(keyOf)).toEqual(['exec/perl', 'compile/hello-make']);
  });

  test.each([
    [{ suites: ['exce'], benchmarks: [] }, 'Did you mean "exec"?'],
    [{ suites: [], benchmarks: ['gcc-helo'] }, 'Did you mean "gcc-hello"?'],
    [{ suites: [], benchmarks: ['compile/gcc-helo'] }, 'Did you mean "compile/gcc-hello"?'],
  ])('a name that is not there is told with the one that was meant: %j', async (choice, fix) => {
    const suites = await loadSuites();
    expect(() => choose(suites, { tier: 'quick', ...choice })).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', fix }),
    );
  });

  test('a choice without anything is an error', async () => {
    const suites = await loadSuites();
    expect(() => choose(suites, { tier: 'quick', suites: ['channel'], benchmarks: ['perl'] })).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND' }),
    );
  });
});
