/** A report's input with everything computed once that its sections and formats show. */
import { type ArmComparison, compareArms, limitOf, ruleOf } from '../compare/arms.ts';
import {
  benchmarkName,
  type ComparableMeasurement,
  type ComparableSession,
  comparable,
} from '../compare/comparable.ts';
import { armName } from '../session.ts';
import { median } from '../statistics/descriptive.ts';
import { type ArmLabel, armLabels } from './arm-labels.ts';
import type { ReportInput } from './input.ts';

export interface ReportView extends ReportInput {
  readonly whole: ComparableSession;
  readonly arms: ArmComparison;
  readonly label: (arm: string) => ArmLabel;
  /** Measurements by benchmark, in the order of the session. */
  readonly benchmarks: ReadonlyMap<string, readonly ComparableMeasurement[]>;
}

export function makeView(input: ReportInput): ReportView {
  const whole = comparable(input.session);
  const labels = armLabels(whole.measurements.map(({ arm }) => arm));
  const benchmarks = new Map<string, ComparableMeasurement[]>();
  for (const one of whole.measurements) {
    benchmarks.set(benchmarkName(one), [...(benchmarks.get(benchmarkName(one)) ?? []), one]);
  }
  return {
    ...input,
    whole,
    arms: compareArms(whole, { noiseFloor: input.noiseFloor, rule: ruleOf(input.session) }),
    // A comparison may name an arm that this session lost.
    label: (arm) => labels.get(arm) ?? { label: arm, className: 'arm-0', colour: 'var(--arm-0)' },
    benchmarks,
  };
}

/** The row that holds a measurement against its base. */
export const gainOf = ({ arms }: ReportView, one: ComparableMeasurement) =>
  arms.rows.find((row) => benchmarkName(row) === benchmarkName(one) && row.changeArm === armName(one.arm));

/** What it costs over the same work native in the same guest; null for the native arm and where there is none. */
export function timesNative({ whole }: ReportView, one: ComparableMeasurement): number | null {
  const limit = one.arm.native ? undefined : limitOf(one, whole.measurements);
  if (limit === undefined || limit.values.length === 0 || one.values.length === 0) return null;
  const [mine, best] = [median(one.values), median(limit.values)];
  if (mine === 0 || best === 0) return null;
  return one.smallerIsBetter ? mine / best : best / mine;
}
