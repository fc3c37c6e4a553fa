/** A session for the terminal: each arm beside the one that it is held against, and beside the native limit. */
import { PLAIN, type Style } from '../../host/cli/style.ts';
import { renderTable } from '../../host/cli/table.ts';
import { baseOf, compareArms, limitOf } from '../compare/arms.ts';
import { benchmarkName, type ComparableMeasurement, comparable, measurementKey } from '../compare/comparable.ts';
import { evidenceOf, formatFactor, formatFactorInterval, formatSpread, formatSummary } from '../compare/format.ts';
import { summary } from '../compare/row.ts';
import { describeArm } from '../runner/sampling.ts';
import { armName, type Session } from '../session.ts';
import type { Verdict } from '../statistics/comparison.ts';
import { median } from '../statistics/descriptive.ts';

/** `noiseFloor`: of a benchmark in an arm, null when the machine was not calibrated for it. */
export function renderSession(
  session: Session,
  noiseFloor: (key: string) => number | null = () => null,
  style: Style = PLAIN,
): string {
  const whole = comparable(session);
  const { rows } = compareArms(whole, { noiseFloor });
  const right = (title: string) => ({ title, align: 'right' as const });
  const table = renderTable(
    [
      { title: 'BENCHMARK' },
      { title: 'ARM' },
      right('RUNS'),
      right('MEDIAN'),
      right(''),
      right('GAIN'),
      right('INTERVAL'),
      { title: 'VERDICT', paint: (cell: string) => paint(cell, style) },
      right('OF NATIVE'),
    ],
    whole.measurements.map((one) => {
      const { arm, unit, values } = one;
      const row = rows.find((it) => benchmarkName(it) === benchmarkName(one) && it.changeArm === armName(arm));
      const evidence = row === undefined ? null : evidenceOf(row.verdict);
      const limit = limitOf(one, whole.measurements);
      return [
        benchmarkName(one),
        describeArm(arm),
        String(values.length),
        one.failed > 0 ? 'failed' : formatSummary(summary(values), unit),
        formatSpread(summary(values)),
        formatFactor(evidence?.ratio ?? null),
        evidence === null ? '-' : formatFactorInterval(evidence),
        one.failed > 0 ? 'broken' : row === undefined ? roleOf(one, whole.measurements) : wordOf(row.verdict),
        one.arm.native ? '' : timesNative(one, limit),
      ];
    }),
  );
  const reasons = session.rejected.map((one) => `  ${measurementKey(one)}: ${one.reason.split('\n')[0]}\n`);
  return [table, ...(reasons.length === 0 ? [] : ['\nWhat does not count:\n', ...reasons])].join('');
}

const roleOf = (one: ComparableMeasurement, all: readonly ComparableMeasurement[]): string =>
  one.arm.native ? 'limit' : all.some((other) => baseOf(other, all) === one) ? 'base' : '';

function wordOf(verdict: Verdict): string {
  if (verdict.kind !== 'inconclusive' || verdict.moreRuns === null) return verdict.kind.replaceAll('-', ' ');
  return `inconclusive (${verdict.moreRuns} more runs?)`;
}

/** How many times what the same work costs without a translator. */
function timesNative(
  { values, smallerIsBetter }: ComparableMeasurement,
  limit: ComparableMeasurement | undefined,
): string {
  if (limit === undefined || limit.values.length === 0 || values.length === 0) return '-';
  const ratio = median(values) / median(limit.values);
  return `${(smallerIsBetter ? ratio : 1 / ratio).toPrecision(3)}×`;
}

function paint(cell: string, style: Style): string {
  if (cell === 'faster') return style.green(cell);
  if (cell === 'slower' || cell === 'broken') return style.red(cell);
  return cell.startsWith('inconclusive') ? style.yellow(cell) : style.dim(cell);
}
