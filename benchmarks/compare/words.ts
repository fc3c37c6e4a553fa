/** Each verdict explained to somebody who has not read docs/STATISTICS.md. */
import { count } from '../../host/cli/format.ts';
import { DEFAULT_RULE, type Evidence, type Rule, type Verdict } from '../statistics/comparison.ts';
import type { Outcome } from '../statistics/verdict.ts';
import { formatChange, formatInterval, formatP } from './format.ts';
import { nativeRowOf } from './machine-moved.ts';
import type { ComparedRow } from './row.ts';
import type { Gate, SessionComparison } from './sessions.ts';

/** One sentence or two: what was found, how sure it is, and what would settle it. */
export function explainVerdict(row: ComparedRow, rule: Rule = DEFAULT_RULE): string {
  const { verdict } = row;
  switch (verdict.kind) {
    case 'faster':
    case 'slower':
      return verdict.p === null ? explainCount(row) : explainShift(row, verdict, rule);
    case 'same':
      return verdict.p === null
        ? 'The count is the same in every sample of both sides.'
        : `If there is a change, it lies between ${between(verdict)}, within the ±${percent(verdict.threshold)} that count here${floorCause(row)}.`;
    case 'inconclusive':
      return explainDoubt(row, verdict, rule);
    case 'broken':
      return explainDefect(verdict);
    case 'not-comparable':
      return `The two sides differ in more than what is compared (${verdict.differences.join('; ')}), so no number says anything about the change.`;
  }
}

/** The same, with how far the machine itself moved where that is the reason. `rows` are those of the whole comparison. */
export function explainAmong(row: ComparedRow, rows: readonly ComparedRow[]): string {
  const native = nativeRowOf(row, rows);
  const { verdict } = row;
  const blamed = verdict.kind === 'inconclusive' && verdict.because === 'machine-moved';
  if (!blamed || native === undefined || !('ratio' in native.verdict)) return explainVerdict(row);
  return `${explainVerdict(row)} (Native work changed by ${formatChange(native.verdict.ratio)}.)`;
}

const subject = ({ smallerIsBetter, unit }: ComparedRow): string =>
  unit === 'seconds'
    ? 'The time changed by'
    : smallerIsBetter
      ? 'The cost changed by'
      : 'The cost of the same amount changed by';

function explainShift(row: ComparedRow, evidence: Evidence, { alpha }: Rule): string {
  const { ratio, interval, adjustedP, threshold } = evidence;
  const confidence = `${((interval?.confidence ?? 0) * 100).toFixed(1)} % confidence`;
  const p = adjustedP !== null && adjustedP < 0.0001 ? formatP(adjustedP) : `= ${formatP(adjustedP)}`;
  return [
    `${subject(row)} ${formatChange(ratio)}, with ${confidence} between ${between(evidence)}.`,
    `That is more than the ${percent(threshold)} that count here${floorCause(row)}, and hardly chance (p ${p}, below ${alpha}).`,
  ].join(' ');
}

function explainCount({ base, change, smallerIsBetter, verdict: { kind } }: ComparedRow): string {
  const moved = `${base?.median ?? '-'} before, ${change?.median ?? '-'} now, in every sample`;
  const better = smallerIsBetter ? 'fewer' : 'more';
  return `${moved}. ${kind === 'faster' ? 'An improvement' : 'A regression'}: ${better} is better, and a count has no noise.`;
}

const between = ({ interval }: Evidence): string => formatInterval({ interval }).replace(' to ', ' and ');

function floorCause({ noiseFloor, sessions }: ComparedRow): string {
  const own = noiseFloor === null ? 'this machine was not calibrated' : `noise floor ${percent(noiseFloor)}`;
  const between =
    sessions === undefined || sessions === null
      ? ''
      : `; sessions of equal programs differ by ${percent(Math.expm1(sessions.deviation))}`;
  return ` (${own}${between})`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function explainDoubt(row: ComparedRow, verdict: Extract<Verdict, { kind: 'inconclusive' }>, { alpha }: Rule): string {
  const { because, moreRuns, runs, adjustedP } = verdict;
  const more =
    moreRuns === null
      ? 'More runs are not likely to settle it.'
      : `About ${count(moreRuns, 'more run')} on each side may settle it.`;
  switch (because) {
    case 'too-few-runs':
      return `${runs.base} and ${runs.change} runs are too few to tell anything: each side needs ${Math.min(runs.base, runs.change) + (moreRuns ?? 0)} at least.`;
    case 'not-significant':
      return `The sides differ by ${formatChange(verdict.ratio)}, but that may be chance (p = ${formatP(adjustedP)}, not below ${alpha}). ${more}`;
    case 'interval-too-wide':
      return `No change is proved, and one that counts is not ruled out: it lies between ${between(verdict)}, and ±${percent(verdict.threshold)} count here${floorCause(row)}. ${more}`;
    case 'sessions-unknown':
      return `The sides differ by ${formatChange(verdict.ratio)}, which is not chance between runs; but these are two sessions, and how far sessions of equal programs differ on this machine is not known well enough: only more than ${percent(verdict.provable)} is proved then. \`bench calibrate --sessions 5\` finds out.`;
    case 'machine-too-noisy':
      return `Whether it changed cannot be told here: equal programs differ so much on this machine that only more than ${percent(verdict.threshold)} counts${floorCause(row)}, and what was found lies between ${between(verdict)}. A quieter machine tells, or both as arms of one session.`;
    case 'machine-moved':
      return `The sides differ by ${formatChange(verdict.ratio)}, and so does the same work with and without a translator: look at the machine before the code.`;
    case 'count-varies':
      return 'The count differs between samples of one side, so it cannot be held exactly. More runs do not help.';
  }
}

function explainDefect({ arm, because }: Extract<Verdict, { kind: 'broken' }>): string {
  switch (because) {
    case 'no-samples':
      return `The ${arm} has no sample of it. Measuring less does not pass a gate.`;
    case 'failed-samples':
      return `Samples of the ${arm} failed or made something wrong; their times are not counted, and what is left is not trusted.`;
    case 'impossible-value':
      return `A value of the ${arm} is no possible one (0 or less, or no number).`;
  }
}

/** Whether a row needs words of its own: not when the sessions as a whole differ, which is told once. */
export const needsWords = ({ verdict }: ComparedRow, obstacles: readonly string[]): boolean =>
  verdict.kind !== 'not-comparable' || verdict.differences.some((one) => !obstacles.includes(one));

/** What a gate says, for people. */
export const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = {
  ok: 'No regression',
  regression: 'Regression',
  inconclusive: 'Inconclusive',
  broken: 'Broken',
  'not-comparable': 'Not comparable',
};

/** What a gate says of a comparison: also that there was nothing for it to look at, which is no fault of what was measured. */
export function gateWords({ rows, outcomes }: Pick<SessionComparison, 'rows' | 'outcomes'>, gate: Gate): string {
  const nothingCounted = gate === 'counts' && rows.every(({ metric }) => metric === 'value');
  return nothingCounted && outcomes.counts === 'broken' ? 'Nothing was counted' : OUTCOME_WORDS[outcomes[gate]];
}
