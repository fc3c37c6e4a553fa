/** What a comparison means to a script: the exit status of `bench compare`, also told in docs/CI.md. */
import type { Outcome } from '../statistics/verdict.ts';

/** design §6 for 0 and 7. A comparison that measured nothing is broken, never ok. */
export const OUTCOME_EXIT_STATUS: Readonly<Record<Outcome, number>> = {
  ok: 0,
  regression: 7,
  inconclusive: 8,
  broken: 9,
  'not-comparable': 10,
};
