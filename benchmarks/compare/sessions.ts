/** Two sessions, benchmark by benchmark, and the verdict of a gate on them. */
import { armName } from '../session.ts';
import { type Comparison, ONE_LOOK, type Rule, type Verdict } from '../statistics/comparison.ts';
import type { SessionNoise } from '../statistics/session-noise.ts';
import { type Outcome, outcomeOf, type SuiteVerdict, suiteVerdict } from '../statistics/verdict.ts';
import { type ComparableMeasurement, type ComparableSession, measurementKey } from './comparable.ts';
import { type FingerprintField, fingerprintDifferences, translatorDifferences } from './fingerprint.ts';
import { heldBackWithTheMachine } from './machine-moved.ts';
import {
  type ComparedRow,
  countRows,
  type NoiseFloorOf,
  type OpenRow,
  type Pair,
  type RowPlace,
  rowKey,
  valueRow,
} from './row.ts';

export const COMPARISON_VERSION = 1;

/**
 * What decides. Counts are free of noise and fit for shared machines; time is what matters to people and needs a quiet
 * machine.
 */
export const GATES = ['all', 'time', 'counts'] as const;
export type Gate = (typeof GATES)[number];

export interface CompareOptions {
  readonly gate?: Gate | undefined;
  readonly rule?: Rule | undefined;
  readonly noiseFloor?: NoiseFloorOf | undefined;
  /** How far sessions of equal programs differ with so many runs; null when nobody knows. */
  readonly sessionNoise?: ((one: ComparableMeasurement, runs: number) => SessionNoise | null) | undefined;
  /** May differ between the sessions: what is changed on purpose. */
  readonly accept?: readonly FingerprintField[] | undefined;
}

export type SessionName = Pick<ComparableSession, 'id' | 'date' | 'commit' | 'version' | 'tier' | 'state' | 'reason'>;

export interface SessionComparison {
  readonly schemaVersion: typeof COMPARISON_VERSION;
  readonly kind: 'rosetta-vm-bench-comparison';
  readonly base: SessionName;
  readonly change: SessionName;
  /** Why the sessions as a whole cannot be compared; rows are then for people only. */
  readonly obstacles: readonly string[];
  /** Differences of the machines that were accepted. */
  readonly accepted: readonly string[];
  readonly rows: readonly ComparedRow[];
  /** Benchmarks, with their arms, that only the change has: nothing to compare them with. */
  readonly added: readonly string[];
  readonly geometricMean: SuiteVerdict['geometricMean'];
  readonly gate: Gate;
  /** What each gate would say. */
  readonly outcomes: Readonly<Record<Gate, Outcome>>;
  /** What the chosen one says. */
  readonly outcome: Outcome;
}

/**
 * Compares `change` with `base`. Sessions of different machines or tiers, and partial ones, are not comparable. A
 * benchmark that the change no longer has is broken, so that a gate cannot be passed by measuring less.
 *
 * Two sessions are two blocks: their samples were not taken in turn, and the machine may have been faster in one of them. So
 * only a change counts that is greater than what equal sessions differ by, and none that native work shared.
 */
export function compareSessions(
  base: ComparableSession,
  change: ComparableSession,
  options: CompareOptions = {},
): SessionComparison {
  const { gate = 'all', rule = ONE_LOOK, accept = [] } = options;
  const differences = [
    ...fingerprintDifferences(base.fingerprint, change.fingerprint, accept),
    ...(base.tier === change.tier ? [] : [`tier: ${base.tier}, ${change.tier}`]),
  ];
  const partial = [partialReason('base', base), partialReason('change', change)].filter((one) => one !== null);
  const known = new Set(base.measurements.map(measurementKey));
  const open = openRows(base, change, { ...options, accept, differences });
  const { verdicts, geometricMean } = suiteVerdict(comparisons(open), rule);
  const rows = heldBackWithTheMachine(withVerdicts(open, verdicts));
  const outcomes = outcomesOf(rows);
  const whole = differences.length === 0 && partial.length === 0;
  return {
    schemaVersion: COMPARISON_VERSION,
    kind: 'rosetta-vm-bench-comparison',
    base: nameOf(base),
    change: nameOf(change),
    obstacles: [...partial, ...differences],
    accepted: acceptedDifferences(base, change, accept),
    rows,
    added: change.measurements.map(measurementKey).filter((key) => !known.has(key)),
    geometricMean,
    gate,
    outcomes: whole ? outcomes : { all: 'not-comparable', time: 'not-comparable', counts: 'not-comparable' },
    outcome: whole ? outcomes[gate] : 'not-comparable',
  };
}

interface OpenOptions extends Pick<CompareOptions, 'noiseFloor' | 'sessionNoise'> {
  readonly accept: readonly FingerprintField[];
  /** Of the sessions as a whole. */
  readonly differences: readonly string[];
}

function openRows(
  base: ComparableSession,
  change: ComparableSession,
  { noiseFloor = () => null, sessionNoise = () => null, accept, differences }: OpenOptions,
): OpenRow[] {
  const later = new Map(change.measurements.map((one) => [measurementKey(one), one]));
  return base.measurements.flatMap((one): OpenRow[] => {
    const key = measurementKey(one);
    const pair = { base: one, change: later.get(key) };
    const place = placeOf(one);
    const runs = Math.min(one.values.length, pair.change?.values.length ?? 0);
    const apart = [
      ...differences,
      ...(accept.includes('translators') ? [] : translatorDifferences(base.fingerprint, change.fingerprint, one.arm)),
      ...(accept.includes('disk') ? [] : diskDifference(pair)),
    ];
    return [
      valueRow(place, pair, {
        noiseFloor: noiseFloor(key, runs),
        sessions: sessionNoise(one, runs),
        differences: apart,
      }),
      ...countRows(place, pair, apart),
    ];
  });
}

function acceptedDifferences(
  { fingerprint: from, measurements }: ComparableSession,
  { fingerprint: to }: ComparableSession,
  accept: readonly FingerprintField[],
): string[] {
  const left = fingerprintDifferences(from, to, accept);
  const ofTheMachine = fingerprintDifferences(from, to).filter((one) => !left.includes(one));
  const ofArms = accept.includes('translators')
    ? measurements.flatMap(({ arm }) => translatorDifferences(from, to, arm))
    : [];
  return [...ofTheMachine, ...new Set(ofArms)];
}

/** Of an arm that was measured in a machine of its own; the fingerprints tell the rest. */
function diskDifference({ base, change }: Pair): string[] {
  if (change === undefined || base?.disk === change.disk) return [];
  const [before, after] = [base, change].map((one) => one?.disk ?? 'the measured machine’s own');
  return [`disk: ${before}, ${after}`];
}

const placeOf = ({ suite, benchmark, arm }: ComparableMeasurement): RowPlace => ({
  ...{ suite, benchmark },
  baseArm: armName(arm),
  changeArm: armName(arm),
});

function partialReason(which: string, { id, state, reason }: ComparableSession): string | null {
  return state === 'complete' ? null : `the ${which}, ${id}, is partial${reason === undefined ? '' : `: ${reason}`}`;
}

function nameOf({ id, date, commit, version, tier, state, reason }: ComparableSession): SessionName {
  return { ...{ id, date, commit, version, tier, state }, ...(reason === undefined ? {} : { reason }) };
}

/** Counts are not tested, so they take no share of the suite's alpha and each gate is as strict as all together. */
function outcomesOf(rows: readonly ComparedRow[]): Readonly<Record<Gate, Outcome>> {
  const outcome = (keep: (row: ComparedRow) => boolean): Outcome =>
    outcomeOf(rows.filter(keep).map(({ verdict }) => verdict));
  return {
    all: outcome(() => true),
    time: outcome(({ metric }) => metric === 'value'),
    counts: outcome(({ metric }) => metric !== 'value'),
  };
}

export const comparisons = (open: readonly OpenRow[]): ReadonlyMap<string, Comparison> =>
  new Map(open.map(({ row, comparison }) => [rowKey(row), comparison]));

/** Every open row has a verdict under its key. */
export function withVerdicts(open: readonly OpenRow[], verdicts: ReadonlyMap<string, Verdict>): ComparedRow[] {
  return open.flatMap(({ row }) => {
    const verdict = verdicts.get(rowKey(row));
    return verdict === undefined ? [] : [{ ...row, verdict }];
  });
}
