/** What comparing needs of a session: its own file has it, and so have the lines that a history keeps of it. */
import { type Arm, armName, type Counts, type Fingerprint, type Measurement, type Session } from '../session.ts';

/**
 * Counts that are free of noise where they are the same in all samples of an arm, so that a gate may hold them exactly:
 * programs started, and what they read from and wrote to the translation cache.
 */
export const EXACT_COUNTS = [
  'execs',
  'cacheEntriesRead',
  'cacheEntriesWritten',
] as const satisfies readonly (keyof Counts)[];
export type ExactCount = (typeof EXACT_COUNTS)[number];

export interface ComparableMeasurement {
  readonly suite: string;
  readonly benchmark: string;
  readonly arm: Arm;
  readonly unit: Measurement['unit'];
  readonly smallerIsBetter: boolean;
  readonly values: readonly number[];
  /** Samples that failed or made something wrong. */
  readonly failed: number;
  /** The least and the greatest of all samples; the same when the count is free of noise. Absent: not counted. */
  readonly counts: Partial<Readonly<Record<ExactCount, Range>>>;
  readonly product?: string | undefined;
  /** See {@link Measurement.disk}. */
  readonly disk?: string | undefined;
}

export interface Range {
  readonly least: number;
  readonly greatest: number;
}

export interface ComparableSession {
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly commit: Session['commit'];
  readonly version: string;
  readonly tier: Session['tier'];
  readonly state: Session['state'];
  /** Why it is partial. */
  readonly reason?: string | undefined;
  readonly fingerprint: Fingerprint;
  readonly measurements: readonly ComparableMeasurement[];
}

/** A benchmark in an arm, whatever was measured of it. */
export interface Place {
  readonly suite: string;
  readonly benchmark: string;
  readonly arm: Arm;
}

/** `compile/gcc-hello`. */
export const benchmarkName = ({ suite, benchmark }: Omit<Place, 'arm'>): string => `${suite}/${benchmark}`;

/** Names a benchmark in one arm: `compile/gcc-hello cache=warm,translator=box64`. */
export const measurementKey = (place: Place): string => `${benchmarkName(place)} ${armName(place.arm)}`;

/** An arm in which every sample failed has a measurement without values, so that it is missed and not forgotten. */
export function comparable(session: Session): ComparableSession {
  const failed = new Map<string, number>();
  for (const sample of session.rejected) {
    failed.set(measurementKey(sample), (failed.get(measurementKey(sample)) ?? 0) + 1);
  }
  const measured = session.measurements.map((one) => ({
    suite: one.suite,
    benchmark: one.benchmark,
    arm: one.arm,
    unit: one.unit,
    smallerIsBetter: one.smallerIsBetter,
    values: one.values,
    failed: failed.get(measurementKey(one)) ?? 0,
    counts: ranges(one.counts),
    product: one.product,
    disk: one.disk,
  }));
  const known = new Set(measured.map(measurementKey));
  const lost = session.rejected.filter(
    (sample, index, all) =>
      !known.has(measurementKey(sample)) &&
      all.findIndex((other) => measurementKey(other) === measurementKey(sample)) === index,
  );
  return {
    ...pick(session),
    measurements: [
      ...measured,
      ...lost.map(({ suite, benchmark, arm }) => ({
        ...{ suite, benchmark, arm, values: [], counts: {} },
        unit: 'seconds' as const,
        smallerIsBetter: true,
        failed: failed.get(measurementKey({ suite, benchmark, arm })) ?? 0,
      })),
    ],
  };
}

function pick({ id, date, commit, version, tier, state, reason, fingerprint }: Session) {
  return { id, date, commit, version, tier, state, reason, fingerprint };
}

function ranges(counts: readonly Counts[]): ComparableMeasurement['counts'] {
  const found: Partial<Record<ExactCount, Range>> = {};
  for (const name of EXACT_COUNTS) {
    const values = counts.flatMap((one) => one[name] ?? []);
    // A count that some samples lack says nothing of the arm.
    if (values.length === 0 || values.length < counts.length) continue;
    found[name] = { least: Math.min(...values), greatest: Math.max(...values) };
  }
  return found;
}
