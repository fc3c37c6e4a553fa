/** The arms of one session against each other: what the cache gives, and how far the limit is. */
import { type Arm, armName, type Session } from '../session.ts';
import { type Comparison, DEFAULT_RULE, ONE_LOOK, type Rule } from '../statistics/comparison.ts';
import { geometricMean } from '../statistics/descriptive.ts';
import { suiteVerdict } from '../statistics/verdict.ts';
import {
  benchmarkName,
  type ComparableMeasurement,
  type ComparableSession,
  measurementKey,
  type Place,
} from './comparable.ts';
import { type ComparedRow, type NoiseFloorOf, type OpenRow, valueRow } from './row.ts';
import { type CompareOptions, comparisons, withVerdicts } from './sessions.ts';

export interface ArmComparison {
  /** In the order of the session; only what the benchmarks are for, no counts. */
  readonly rows: readonly ComparedRow[];
  /** Of the rows with the same two arms. */
  readonly means: readonly ArmMean[];
}

export interface ArmMean {
  readonly baseArm: string;
  readonly changeArm: string;
  /** Geometric mean of the rows' ratios: what the change costs over what the base costs. */
  readonly ratio: number;
  readonly benchmarks: number;
}

/** A session that was measured in a single round was looked at once, whoever may have looked at it. */
export const ruleOf = ({ measurements }: Pick<Session, 'measurements'>): Rule =>
  measurements.every(({ rounds }) => rounds.every((round) => round === 1)) ? ONE_LOOK : DEFAULT_RULE;

/** Holds each arm against the one that {@link baseOf} says. */
export function compareArms(
  session: ComparableSession,
  { rule = DEFAULT_RULE, noiseFloor = () => null }: Pick<CompareOptions, 'rule' | 'noiseFloor'> = {},
): ArmComparison {
  const open = armRows(session, noiseFloor);
  const rows = withVerdicts(open, suiteVerdict(comparisons(open), rule).verdicts);
  return { rows, means: means(rows) };
}

/** The same before any verdict, by `rowKey`: what decides whether another round is measured. */
export const armComparisons = (session: ComparableSession, noiseFloor: NoiseFloorOf): ReadonlyMap<string, Comparison> =>
  comparisons(armRows(session, noiseFloor));

function armRows({ measurements }: ComparableSession, noiseFloor: NoiseFloorOf): OpenRow[] {
  return measurements.flatMap((change) => {
    const base = baseOf(change, measurements);
    if (base === undefined) return [];
    const place = {
      ...{ suite: change.suite, benchmark: change.benchmark },
      baseArm: armName(base.arm),
      changeArm: armName(change.arm),
    };
    // Two translators, or two disks, need not make the same bytes: within a session the runner has checked them.
    const pair = { base: { ...base, product: undefined }, change };
    return [valueRow(place, pair, { noiseFloor: greaterFloor([base, change], noiseFloor), differences: [] })];
  });
}

/** Of the two arms' floors, with as many runs as the arm has that has fewer: the one that is noisier decides. */
function greaterFloor(arms: readonly ComparableMeasurement[], noiseFloor: NoiseFloorOf): number | null {
  const runs = Math.min(...arms.map(({ values }) => values.length));
  const floors = arms.flatMap((one) => noiseFloor(measurementKey(one), runs) ?? []);
  return floors.length === 0 ? null : Math.max(...floors);
}

/**
 * The arm of the same benchmark that differs in one dimension only, where it has the plain value: `cache=off`, else the
 * value that was measured first. The cache is asked before the other dimensions. Absent for an arm that is plain in all of
 * them, and for the native one, which is the limit of all (see {@link limitOf}).
 */
export function baseOf<Measured extends Place>(of: Measured, measured: readonly Measured[]): Measured | undefined {
  if (of.arm.native) return undefined;
  const siblings = measured.filter((one) => !one.arm.native && benchmarkName(one) === benchmarkName(of));
  const dimensions = Object.keys(of.arm.dimensions).sort((a, b) => Number(b === 'cache') - Number(a === 'cache'));
  for (const dimension of dimensions) {
    const values = siblings.flatMap(({ arm }) => arm.dimensions[dimension] ?? []);
    const plain = dimension === 'cache' && values.includes('off') ? 'off' : values[0];
    if (plain === undefined || plain === of.arm.dimensions[dimension]) continue;
    const wanted = armName({ native: false, dimensions: { ...of.arm.dimensions, [dimension]: plain } });
    const base = siblings.find(({ arm }) => armName(arm) === wanted);
    if (base !== undefined) return base;
  }
  return undefined;
}

/** The same work native in the same guest: of the native arms, the one that says nothing else about its dimensions. */
export function limitOf(
  of: ComparableMeasurement,
  measurements: readonly ComparableMeasurement[],
): ComparableMeasurement | undefined {
  const agrees = (arm: Arm) =>
    Object.entries(arm.dimensions).every(([dimension, value]) => of.arm.dimensions[dimension] === value);
  return measurements.find(
    (one) => one.arm.native && benchmarkName(one) === benchmarkName(of) && one.unit === of.unit && agrees(one.arm),
  );
}

function means(rows: readonly ComparedRow[]): ArmMean[] {
  const groups = new Map<string, { row: ComparedRow; ratios: number[] }>();
  for (const row of rows) {
    const { verdict, baseArm, changeArm } = row;
    if (!('ratio' in verdict) || verdict.ratio === null) continue;
    const key = `${baseArm} ${changeArm}`;
    const group = groups.get(key) ?? { row, ratios: [] };
    group.ratios.push(verdict.ratio);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ row: { baseArm, changeArm }, ratios }) => ({
    ...{ baseArm, changeArm },
    ratio: geometricMean(ratios),
    benchmarks: ratios.length,
  }));
}
