/** The verdict on one benchmark and on a suite of them. */
import { type Comparison, DEFAULT_RULE, type Doubt, type Rule, type Verdict } from './comparison.ts';
import { geometricMean } from './descriptive.ts';
import { holm } from './holm.ts';
import { fewestRuns, smallestP } from './mann-whitney.ts';
import { type Measured, measure, type Tested } from './measure.ts';
import { type LevelOfProof, moreRunsForProof, moreRunsForWidth } from './more-runs.ts';

/** The verdict on a benchmark that is alone in its suite. */
export function verdict(comparison: Comparison, rule: Rule = DEFAULT_RULE): Verdict {
  const [only] = verdicts([comparison], rule);
  // One comparison in, one verdict out.
  return only as Verdict;
}

export type Outcome = 'ok' | 'regression' | 'inconclusive' | 'broken' | 'not-comparable';

export interface SuiteVerdict {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Of the ratios that were tested: not counts, nor what is broken or not comparable. Null when there is none. */
  readonly geometricMean: { readonly ratio: number; readonly benchmarks: number } | null;
  readonly outcome: Outcome;
}

/**
 * The verdicts on a suite, by name. Every p is multiplied by the rounds that the rule allows (Bonferroni: the data may be
 * looked at so often) and then adjusted for the number of benchmarks that were tested (Holm), so that equal arms raise any
 * alarm at all in no more than `alpha` of the suites, however the rounds were stopped; the proof is in docs/STATISTICS.md.
 * Faster or slower: adjusted p < alpha, the ratio beyond the threshold in either direction (r and 1/r count alike), and
 * enough runs; between two sessions of which it is not known well how far they differ, also beyond what they may. Same: the whole interval
 * within the threshold, and within what the rule lets be called so at most. All else is inconclusive, after the last round as
 * well.
 */
export function suiteVerdict(suite: ReadonlyMap<string, Comparison>, rule: Rule = DEFAULT_RULE): SuiteVerdict {
  const names = [...suite.keys()];
  const found = verdicts([...suite.values()], rule);
  const ratios = found.flatMap((one) => ('p' in one && one.p !== null && one.ratio !== null ? [one.ratio] : []));
  return {
    verdicts: new Map(found.map((one, index) => [names[index] ?? '', one])),
    geometricMean: ratios.length === 0 ? null : { ratio: geometricMean(ratios), benchmarks: ratios.length },
    outcome: outcomeOf(found),
  };
}

/** What a gate reports of several verdicts, the gravest first. */
const GRAVITY = [
  ['slower', 'regression'],
  ['broken', 'broken'],
  ['not-comparable', 'not-comparable'],
  ['inconclusive', 'inconclusive'],
] as const satisfies readonly (readonly [Verdict['kind'], Outcome])[];

/** A suite without a single benchmark measured nothing, which is broken and never ok. */
export function outcomeOf(found: readonly Verdict[]): Outcome {
  if (found.length === 0) return 'broken';
  return GRAVITY.find(([kind]) => found.some((one) => one.kind === kind))?.[1] ?? 'ok';
}

function verdicts(comparisons: readonly Comparison[], rule: Rule): Verdict[] {
  const tests = comparisons.filter(({ metric, differences }) => !metric.exact && differences.length === 0).length;
  const measured = comparisons.map((comparison) => measure(comparison, rule, tests));
  const tested = measured.flatMap((one) => (one.kind === 'tested' ? [one.tested] : []));
  const adjusted = holm(tested.map(({ p }) => Math.min(1, rule.rounds * p)));
  const adjustedOf = new Map(tested.map((one, index) => [one, adjusted[index] ?? 1]));
  // What the smallest p of the suite must be under: the hardest case, for the estimates of runs needed.
  const requiredP = rule.alpha / (rule.rounds * tested.length);
  return measured.map((one: Measured) =>
    one.kind === 'settled'
      ? one.verdict
      : decide({ ...one.tested, adjustedP: adjustedOf.get(one.tested) ?? 1 }, rule, requiredP),
  );
}

function decide(tested: Tested & { readonly adjustedP: number }, rule: Rule, requiredP: number): Verdict {
  const { ratio, interval, adjustedP, runs } = tested;
  const limit = 1 + tested.threshold;
  const fewer = Math.min(runs.base, runs.change);
  const proof: LevelOfProof = { p: requiredP, runs: fewer };
  const doubt = (because: Doubt, moreRuns: number | null): Verdict => ({
    kind: 'inconclusive',
    because,
    moreRuns,
    ...tested,
  });

  if (fewer < rule.minimumRuns) {
    return doubt('too-few-runs', Math.max(rule.minimumRuns, fewestRuns(requiredP)) - fewer);
  }
  const isWithin = (share: number): boolean =>
    interval.confidence >= 1 - rule.alpha && interval.low >= 1 / (1 + share) && interval.high <= 1 + share;
  if (isWithin(Math.min(tested.threshold, rule.greatestSame))) return { kind: 'same', ...tested };
  if (isWithin(tested.threshold)) return doubt('machine-too-noisy', null);
  const beyond = ratio > limit || ratio < 1 / limit;
  if (beyond && adjustedP < rule.alpha) {
    const sure = 1 + tested.provable;
    if (ratio < sure && ratio > 1 / sure) return doubt('sessions-unknown', null);
    return { kind: ratio > 1 ? 'slower' : 'faster', ...tested };
  }
  if (smallestP(runs.base, runs.change) >= requiredP) return doubt('too-few-runs', fewestRuns(requiredP) - fewer);
  return beyond
    ? doubt('not-significant', moreRunsForProof(tested.p, proof))
    : doubt('interval-too-wide', moreRunsForWidth(tested, fewer));
}
