/** Whether a suite is measured once more. */
import { type Comparison, DEFAULT_RULE, type Rule } from './comparison.ts';
import { suiteVerdict } from './verdict.ts';

export type NextRound =
  | {
      readonly another: true;
      /** Counted from 1. `roundOrder` (benchmarks/schedule.ts) turns it into the order of the samples. */
      readonly round: number;
      /** What is measured again; the values are added to those that there are. */
      readonly benchmarks: readonly string[];
    }
  | {
      readonly another: false;
      readonly because: 'settled' | 'rounds-spent';
      /** Benchmarks without a verdict that more runs could still bring. */
      readonly open: readonly string[];
    };

/**
 * Decides after `roundsDone` rounds (0 before the first) on the data of all of them. Only what is inconclusive for want of
 * runs is measured again: a suite that is settled stops early, and one that is not stops after the rule's rounds. Firecracker's
 * scheme (source in docs/STATISTICS.md). A benchmark that was settled may open again when the p of another grows, as Holm
 * weighs them together.
 */
export function nextRound(
  suite: ReadonlyMap<string, Comparison>,
  roundsDone: number,
  rule: Rule = DEFAULT_RULE,
): NextRound {
  if (roundsDone === 0 && rule.rounds > 0) return { another: true, round: 1, benchmarks: [...suite.keys()] };
  const open = [...suiteVerdict(suite, rule).verdicts]
    .filter(([, one]) => one.kind === 'inconclusive' && one.because !== 'count-varies')
    .map(([name]) => name);
  if (open.length === 0) return { another: false, because: 'settled', open };
  if (roundsDone >= rule.rounds) return { another: false, because: 'rounds-spent', open };
  return { another: true, round: roundsDone + 1, benchmarks: open };
}
