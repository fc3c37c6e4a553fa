/** What the values of one comparison say by themselves, before the rest of the suite is looked at. */
import type { Arm, Comparison, Defect, Evidence, Rule, Verdict } from './comparison.ts';
import { provable, threshold } from './comparison.ts';
import { hodgesLehmannRatio } from './hodges-lehmann.ts';
import { mannWhitney } from './mann-whitney.ts';

/** A ratio that was tested; the verdict needs p adjusted for the suite. */
export interface Tested extends Evidence {
  readonly ratio: number;
  readonly interval: NonNullable<Evidence['interval']>;
  readonly p: number;
}

export type Measured =
  | { readonly kind: 'tested'; readonly tested: Tested }
  | { readonly kind: 'settled'; readonly verdict: Verdict };

/**
 * Broken comes before not comparable: an arm that measured nothing differs in nothing. `tests`: rows of the suite that are
 * tested, see `threshold`.
 */
export function measure(comparison: Comparison, rule: Rule, tests: number): Measured {
  const { metric, base, change, differences } = comparison;
  for (const [arm, { values, failed }] of [['base', base] as const, ['change', change] as const]) {
    const because = defect(values, failed, metric.exact);
    if (because !== null) return { kind: 'settled', verdict: { kind: 'broken', arm, because } };
  }
  if (differences.length > 0) return { kind: 'settled', verdict: { kind: 'not-comparable', differences } };
  return metric.exact
    ? { kind: 'settled', verdict: compareCounts(comparison) }
    : { kind: 'tested', tested: testValues(comparison, rule, tests) };
}

function defect(values: readonly number[], failed: number, exact: boolean): Defect | null {
  if (failed > 0) return 'failed-samples';
  if (values.length === 0) return 'no-samples';
  const possible = (value: number) => Number.isFinite(value) && (exact ? value >= 0 : value > 0);
  return values.every(possible) ? null : 'impossible-value';
}

/** Costs: where more is better, the arms change places, so that a ratio above 1 is worse all the same. */
function costs({ metric, base, change }: Comparison): readonly [from: Arm, to: Arm] {
  return metric.better === 'lower' ? [base, change] : [change, base];
}

const runs = ({ base, change }: Comparison) => ({ base: base.values.length, change: change.values.length });

function testValues(comparison: Comparison, rule: Rule, tests: number): Tested {
  const [from, to] = costs(comparison);
  return {
    ...hodgesLehmannRatio(from.values, to.values, 1 - rule.alpha),
    p: mannWhitney(from.values, to.values).p,
    adjustedP: null,
    threshold: threshold(comparison, rule, tests),
    provable: provable(comparison, rule, tests),
    runs: runs(comparison),
  };
}

function compareCounts(comparison: Comparison): Verdict {
  const [from, to] = costs(comparison).map(({ values }) => [...new Set(values)]);
  const [before, after] = [from?.[0] ?? 0, to?.[0] ?? 0];
  const ratio = before === after ? 1 : before === 0 || after === 0 ? null : after / before;
  const evidence: Evidence = {
    ratio,
    interval: ratio === null ? null : { low: ratio, high: ratio, confidence: 1 },
    p: null,
    adjustedP: null,
    threshold: 0,
    provable: 0,
    runs: runs(comparison),
  };
  if (from?.length !== 1 || to?.length !== 1) {
    const unknown = { ...evidence, ratio: null, interval: null };
    return { kind: 'inconclusive', because: 'count-varies', moreRuns: null, ...unknown };
  }
  return { kind: before === after ? 'same' : after < before ? 'faster' : 'slower', ...evidence };
}
