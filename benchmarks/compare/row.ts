/** One line of a comparison: a benchmark's time, or one of its counts, in two arms. Plain data, fit for JSON. */
import type { Measurement } from '../session.ts';
import { COUNT, type Comparison, type Metric, type Verdict } from '../statistics/comparison.ts';
import { median, medianAbsoluteDeviation } from '../statistics/descriptive.ts';
import type { SessionNoise } from '../statistics/session-noise.ts';
import { type ComparableMeasurement, EXACT_COUNTS, type ExactCount } from './comparable.ts';

/** `value`: what the benchmark is for, its time or throughput. */
export type RowMetric = 'value' | ExactCount;

export interface Summary {
  readonly runs: number;
  readonly median: number;
  /** Median absolute deviation, in the unit of the row. */
  readonly mad: number;
}

/** Which arms are held against each other. */
export interface RowPlace {
  readonly suite: string;
  readonly benchmark: string;
  /** Equal between two sessions. */
  readonly baseArm: string;
  readonly changeArm: string;
}

export interface ComparedRow extends RowPlace {
  readonly metric: RowMetric;
  readonly unit: Measurement['unit'];
  readonly smallerIsBetter: boolean;
  /** Null when there are no values. */
  readonly base: Summary | null;
  readonly change: Summary | null;
  /** Share; null when this machine was not calibrated for it. */
  readonly noiseFloor: number | null;
  /** Between two sessions: how far equal ones differ; null when that is not known. Absent within a session, and of counts. */
  readonly sessions?: SessionNoise | null | undefined;
  readonly verdict: Verdict;
}

/** Of a benchmark in an arm (`measurementKey`) with so many runs, as a share; null when this machine was not calibrated. */
export type NoiseFloorOf = (key: string, runs: number) => number | null;

/** A row before its verdict, which depends on the others. */
export interface OpenRow {
  readonly row: Omit<ComparedRow, 'verdict'>;
  readonly comparison: Comparison;
}

/** Key of a row within its comparison. */
export const rowKey = ({ suite, benchmark, baseArm, changeArm, metric }: Omit<ComparedRow, 'verdict'>): string =>
  [suite, benchmark, baseArm, changeArm, metric].join(' ');

/** The row of what the benchmark is for. */
export function valueRow(
  place: RowPlace,
  pair: Pair,
  { noiseFloor, sessions, differences }: Pick<Comparison, 'noiseFloor' | 'sessions' | 'differences'>,
): OpenRow {
  const { base, change } = pair;
  const { unit, smallerIsBetter } = change ?? base ?? NOTHING;
  const metric: Metric = { exact: unit === 'count', better: smallerIsBetter ? 'lower' : 'higher' };
  const [from, to] = [base?.values ?? [], change?.values ?? []];
  return {
    row: {
      ...place,
      metric: 'value',
      ...{ unit, smallerIsBetter, noiseFloor },
      ...(sessions === undefined ? {} : { sessions }),
      base: summary(from),
      change: summary(to),
    },
    comparison: {
      ...{ metric, noiseFloor, sessions },
      base: { values: from, failed: base?.failed ?? 0 },
      change: { values: to, failed: change?.failed ?? 0 },
      differences: [...differences, ...differentWork(pair)],
    },
  };
}

export interface Pair {
  readonly base: ComparableMeasurement | undefined;
  readonly change: ComparableMeasurement | undefined;
}

const NOTHING = { unit: 'seconds', smallerIsBetter: true } as const;

/** Numbers of different work cannot be compared, however alike the machines are. */
function differentWork({ base, change }: Pair): string[] {
  if (base === undefined || change === undefined) return [];
  if (base.unit !== change.unit) return [`unit: ${base.unit}, ${change.unit}`];
  if (base.smallerIsBetter !== change.smallerIsBetter) return ['better direction: lower in one, higher in the other'];
  const [before, after] = [base.product, change.product];
  if (before === undefined || after === undefined || before === after) return [];
  return [`what the samples made: ${before.slice(0, 12)}, ${after.slice(0, 12)}`];
}

/**
 * The rows of the counts that are free of noise in the base. One that varies there is no measure at all, and is left out.
 * Entries that were read from the cache are better when they are more, but only of the same programs: they are left out
 * when the number of programs differs, which has a row of its own.
 */
export function countRows(place: RowPlace, pair: Pair, differences: readonly string[]): OpenRow[] {
  const { base, change } = pair;
  if (base === undefined) return [];
  return EXACT_COUNTS.flatMap((name): OpenRow[] => {
    const [before, after] = [base.counts[name], change?.counts[name]];
    if (before === undefined || before.least !== before.greatest) return [];
    if (name === 'cacheEntriesRead' && !sameExecs(pair)) return [];
    const smallerIsBetter = name !== 'cacheEntriesRead';
    const values = (range: typeof before | undefined) => (range === undefined ? [] : [range.least, range.greatest]);
    const runs = { base: base.values.length, change: change?.values.length ?? 0 };
    return [
      {
        row: {
          ...place,
          metric: name,
          unit: 'count',
          ...{ smallerIsBetter, noiseFloor: null },
          base: { runs: runs.base, median: before.least, mad: 0 },
          change:
            after === undefined
              ? null
              : {
                  runs: runs.change,
                  median: (after.least + after.greatest) / 2,
                  mad: (after.greatest - after.least) / 2,
                },
        },
        comparison: {
          metric: smallerIsBetter ? COUNT : { ...COUNT, better: 'higher' },
          base: { values: values(before), failed: base.failed },
          change: { values: values(after), failed: change?.failed ?? 0 },
          ...{ noiseFloor: null, differences: [...differences, ...differentWork(pair)] },
        },
      },
    ];
  });
}

function sameExecs({ base, change }: Pair): boolean {
  const [before, after] = [base?.counts.execs, change?.counts.execs];
  return before?.least === after?.least && before?.greatest === after?.greatest;
}

/** A count that did not change: there are many, and one sentence tells of all of them. */
export const isQuiet = ({ metric, verdict }: ComparedRow): boolean => metric !== 'value' && verdict.kind === 'same';

export const summary = (values: readonly number[]): Summary | null =>
  values.length === 0 ? null : { runs: values.length, median: median(values), mad: medianAbsoluteDeviation(values) };
