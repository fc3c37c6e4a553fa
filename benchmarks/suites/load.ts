/** The suites that come with the package, and the choice among them. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import { packageFile } from '../../host/package-root.ts';
import { parseYaml } from '../../host/spec/load.ts';
import { suggestKey } from '../../host/spec/suggest.ts';
import { type Benchmark, parseSuite, type Suite, TIERS, type Tier } from './schema.ts';

/** The order in which suites are measured; one that is not named comes last. */
const ORDER = ['exec', 'compile', 'install', 'channel', 'disk', 'boot'];

/** All suites of a folder, in their order. Throws `E_INVALID`. */
export async function loadSuites(folder = packageFile('benchmarks/suites')): Promise<readonly Suite[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
  const suites = await Promise.all(
    files.map(async (name) => parseSuite(parseYaml(await readFile(path.join(folder, name), 'utf8'), name), name)),
  );
  const place = ({ suite }: Suite): number => (ORDER.includes(suite) ? ORDER.indexOf(suite) : ORDER.length);
  return suites.sort((a, b) => place(a) - place(b));
}

/** A benchmark with the suite that it is of. */
export interface Chosen {
  readonly suite: Suite;
  readonly benchmark: Benchmark;
}

export interface Choice {
  readonly tier: Tier;
  /** Names; none: all. */
  readonly suites: readonly string[];
  /** `benchmark` or `suite/benchmark`; none: all of the tier. One that is named is measured in whatever tier it is. */
  readonly benchmarks: readonly string[];
}

/** Throws `E_NOT_FOUND` with a suggestion for what there is not, and when nothing is left to measure. */
export function choose(suites: readonly Suite[], { tier, suites: names, benchmarks }: Choice): Chosen[] {
  for (const name of names) {
    checkName(
      'suite',
      name,
      suites.map(({ suite }) => suite),
    );
  }
  const all = suites.flatMap((suite) => suite.benchmarks.map((benchmark) => ({ suite, benchmark })));
  for (const name of benchmarks) {
    checkName('benchmark', name, name.includes('/') ? all.map(keyOf) : all.map(({ benchmark }) => benchmark.id));
  }
  const isNamed = (one: Chosen): boolean => benchmarks.includes(one.benchmark.id) || benchmarks.includes(keyOf(one));
  const chosen = all.filter(
    (one) =>
      (names.length === 0 || names.includes(one.suite.suite)) &&
      (benchmarks.length === 0 ? isInTier(one.benchmark, tier) : isNamed(one)),
  );
  if (chosen.length > 0) return chosen;
  throw new RosettaVmError('E_NOT_FOUND', {
    what: 'There is nothing to measure.',
    why: `No benchmark of the tier ${tier} fits the suites and benchmarks that were named.`,
    fix: '`bench list` shows what there is, and in which tier.',
  });
}

/** `suite/benchmark`. */
export const keyOf = ({ suite, benchmark }: Chosen): string => `${suite.suite}/${benchmark.id}`;

/** A tier has everything of the smaller ones. */
export const isInTier = (benchmark: Benchmark, tier: Tier): boolean =>
  TIERS.indexOf(benchmark.tier) <= TIERS.indexOf(tier);

function checkName(kind: 'suite' | 'benchmark', name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const meant = suggestKey(name, known);
  throw new RosettaVmError('E_NOT_FOUND', {
    what: `There is no ${kind} ${JSON.stringify(name)}.`,
    why: `These are known: ${[...new Set(known)].join(', ')}.`,
    fix: meant === undefined ? '`bench list` shows them all.' : `Did you mean ${JSON.stringify(meant)}?`,
    facts: { kind, name, suggestion: meant ?? null },
  });
}
