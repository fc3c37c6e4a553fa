/** Two sessions, benchmark by benchmark, and the verdict of a gate on them. */
import { armName } from '../session.ts';
import { type Comparison, DEFAULT_RULE, type Rule, type Verdict } from '../statistics/comparison.ts';
import { type Outcome, type SuiteVerdict, suiteVerdict } from '../statistics/verdict.ts';
import { type ComparableMeasurement, type ComparableSession, measurementKey } from './comparable.ts';
import { type FingerprintField, fingerprintDifferences } from './fingerprint.ts';
import { type ComparedRow, countRows, type OpenRow, type Pair, type RowPlace, rowKey, valueRow } from './row.ts';

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
  /** Of a benchmark in an arm (see `measurementKey`), as a share; null when this machine was not calibrated for it. */
  readonly noiseFloor?: ((key: string) => number | null) | undefined;
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
 */
export function compareSessions(
  base: ComparableSession,
  change: ComparableSession,
  { gate = 'all', rule = DEFAULT_RULE, noiseFloor = () => null, accept = [] }: CompareOptions = {},
): SessionComparison {
  const differences = [
    ...fingerprintDifferences(base.fingerprint, change.fingerprint, accept),
    ...(base.tier === change.tier ? [] : [`tier: ${base.tier}, ${change.tier}`]),
  ];
  const partial = [partialReason('base', base), partialReason('change', change)].filter((one) => one !== null);
  const later = new Map(change.measurements.map((one) => [measurementKey(one), one]));
  const known = new Set(base.measurements.map(measurementKey));
  const open = base.measurements.flatMap((one): OpenRow[] => {
    const key = measurementKey(one);
    const pair = { base: one, change: later.get(key) };
    const place = placeOf(one);
    const apart = [...differences, ...(accept.includes('disk') ? [] : diskDifference(pair))];
    return [
      valueRow(place, pair, { noiseFloor: noiseFloor(key), differences: apart }),
      ...countRows(place, pair, apart),
    ];
  });
  const outcomes = outcomesOf(open, rule);
  const whole = differences.length === 0 && partial.length === 0;
  const { verdicts, geometricMean } = suiteVerdict(comparisons(open), rule);
  const accepted = fingerprintDifferences(base.fingerprint, change.fingerprint).filter(
    (one) => !differences.includes(one),
  );
  return {
    schemaVersion: COMPARISON_VERSION,
    kind: 'rosetta-vm-bench-comparison',
    base: nameOf(base),
    change: nameOf(change),
    obstacles: [...partial, ...differences],
    accepted,
    rows: withVerdicts(open, verdicts),
    added: change.measurements.map(measurementKey).filter((key) => !known.has(key)),
    geometricMean,
    gate,
    outcomes: whole ? outcomes : { all: 'not-comparable', time: 'not-comparable', counts: 'not-comparable' },
    outcome: whole ? outcomes[gate] : 'not-comparable',
  };
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
function outcomesOf(open: readonly OpenRow[], rule: Rule): Readonly<Record<Gate, Outcome>> {
  const outcome = (keep: (one: OpenRow) => boolean): Outcome =>
    suiteVerdict(comparisons(open.filter(keep)), rule).outcome;
  return {
    all: outcome(() => true),
    time: outcome(({ row }) => row.metric === 'value'),
    counts: outcome(({ row }) => row.metric !== 'value'),
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
