/** A session for the terminal: each arm beside the one that it is held against, and beside the native limit. */
import { count } from '../../host/cli/format.ts';
import { PLAIN, type Style } from '../../host/cli/style.ts';
import { renderTable } from '../../host/cli/table.ts';
import { benchmarkName, measurementKey } from '../compare/comparable.ts';
import {
  evidenceOf,
  formatFactor,
  formatFactorInterval,
  formatSpread,
  formatSummary,
  verdictWords,
} from '../compare/format.ts';
import { summary } from '../compare/row.ts';
import type { ReportInput } from '../report/input.ts';
import { gainOf, makeView, timesNative } from '../report/view.ts';
import { describeArm } from '../runner/sampling.ts';

export function renderSession(input: ReportInput, style: Style = PLAIN): string {
  const view = makeView(input);
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
      right('OF NATIVE'),
      { title: 'VERDICT', paint: (cell: string) => paint(cell, style) },
    ],
    [
      ...view.whole.measurements.map((one) => {
        const { arm, unit, values, failed } = one;
        const row = gainOf(view, one);
        const evidence = row === undefined ? null : evidenceOf(row.verdict);
        return [
          benchmarkName(one),
          describeArm(arm),
          String(values.length),
          formatSummary(summary(values), unit),
          formatSpread(summary(values)),
          formatFactor(evidence?.ratio ?? null),
          evidence === null ? '-' : formatFactorInterval(evidence),
          timesNative(view, one)?.toPrecision(3).concat('×') ?? '',
          failed > 0 ? 'broken' : row === undefined ? (arm.native ? 'limit' : '') : verdictWords(row),
        ];
      }),
      ...view.arms.means.map(({ changeArm, baseArm, ratio, benchmarks }) => [
        'geometric mean',
        `${view.label(changeArm).label} against ${view.label(baseArm).label}`,
        '',
        count(benchmarks, 'benchmark'),
        '',
        formatFactor(ratio),
      ]),
    ],
  );
  const reasons = input.session.rejected.map((one) => `  ${measurementKey(one)}: ${one.reason.split('\n')[0]}\n`);
  return [table, ...(reasons.length === 0 ? [] : ['\nWhat does not count:\n', ...reasons])].join('');
}

function paint(cell: string, style: Style): string {
  if (cell === 'faster') return style.green(cell);
  if (cell === 'slower' || cell === 'broken') return style.red(cell);
  return cell.startsWith('inconclusive') ? style.yellow(cell) : style.dim(cell);
}
