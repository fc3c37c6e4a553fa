/** A history for the terminal. */
import { count } from '../../host/cli/format.ts';
import { PLAIN, type Style } from '../../host/cli/style.ts';
import { renderTable } from '../../host/cli/table.ts';
import { formatChange, formatQuantity } from '../compare/format.ts';
import { armName } from '../session.ts';
import { DEFAULT_CHANGE_POINT_RULE } from '../statistics/change-points.ts';
import { type Change, commitRange, type HistoryReport, type Series } from './changes.ts';

/** One line a series, then each change with its commit range, then what was left out and why. */
export function renderHistory(report: HistoryReport, style: Style = PLAIN): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const { series, skipped, skippedCount } = report;
  const table = renderTable(
    [
      { title: 'BENCHMARK' },
      { title: 'ARM' },
      { title: 'MACHINE' },
      right('SESSIONS'),
      right('NOW'),
      { title: 'CHANGES' },
    ],
    series.map((one) => [
      `${one.suite}/${one.benchmark}`,
      armName(one.arm),
      one.digest.slice(0, 8),
      String(one.points.length),
      formatQuantity(one.points.at(-1)?.median ?? 0, one.unit),
      summarise(one),
    ]),
  );
  const changes = series.flatMap((one) => one.changes.map((change) => describeChange(one, change, style)));
  const skippedLines = skipped.map(({ line, why }) => `  line ${line}: ${why}\n`);
  const more = skippedCount - skipped.length;
  return [
    series.length === 0 ? 'The history has no result yet.\n' : table,
    ...(changes.length === 0 ? [] : ['\n', ...changes]),
    ...leftOutLines(report).map((line) => `\n${line}\n`),
    ...(skippedCount === 0 ? [] : [`\n${count(skippedCount, 'line')} could not be read:\n`, ...skippedLines]),
    ...(more > 0 ? [`  and ${more} more\n`] : []),
  ].join('');
}

/** Sentences; none when nothing was left out. */
export function leftOutLines({ leftOut, accepted }: Pick<HistoryReport, 'leftOut' | 'accepted'>): string[] {
  const { partial, failed, future, dirty, machineLost } = leftOut;
  return [
    ...(accepted.length === 0 ? [] : [`Series go on where these changed: ${accepted.join(', ')}.`]),
    ...(partial === 0 ? [] : [`Left out: ${count(partial, 'result')} of partial sessions.`]),
    ...(failed === 0 ? [] : [`Left out: ${count(failed, 'result')} with failed samples or without values.`]),
    ...(dirty === 0 ? [] : [`Left out: ${count(dirty, 'result')} of trees with changes.`]),
    ...(machineLost === 0
      ? []
      : [`Of ${count(machineLost, 'session')} the line of the machine is lost: nothing is compared with it.`]),
    ...(future === 0
      ? []
      : [`Left out: ${count(future, 'result')} of sessions from the future; the clock of that machine was wrong.`]),
  ];
}

function summarise({ points, changes }: Series): string {
  const needed = 2 * DEFAULT_CHANGE_POINT_RULE.minimumSegment;
  if (points.length < needed) return `too short: ${needed} sessions are needed`;
  if (changes.length === 0) return 'none';
  return changes.map(({ ratio, state }) => `${formatChange(ratio)} ${state}`).join(', ');
}

function describeChange(series: Series, change: Change, style: Style): string {
  const { state, firstAfter, reason } = change;
  const label = { open: style.red, acknowledged: style.dim, recovered: style.dim, improvement: style.green }[state];
  return [
    `${label(state)}  ${sizesOf(series, change)}\n`,
    `  since ${firstAfter.date.slice(0, 10)}, session ${firstAfter.session}; look at: ${commitRange(change)}\n`,
    ...(reason === null ? [] : [`  acknowledged: ${reason}\n`]),
  ].join('');
}

function sizesOf({ unit, suite, benchmark, arm }: Series, { ratio, before, after }: Change): string {
  const sizes = `${formatQuantity(before, unit)} → ${formatQuantity(after, unit)}, ${formatChange(ratio)}`;
  return `${suite}/${benchmark} ${armName(arm)}: ${sizes}`;
}

/** What is open in a history no more, after somebody has said why. */
export function renderAcknowledged(before: HistoryReport, after: HistoryReport): string {
  const open = ({ series }: HistoryReport): string[] =>
    series.flatMap((one) => one.changes.filter(({ state }) => state === 'open').map((change) => sizesOf(one, change)));
  const left = open(after);
  const quiet = open(before).filter((title) => !left.includes(title));
  if (quiet.length === 0) {
    return 'It is kept, but nothing that `bench history` finds open begins at that session. A change across images or kernels is found with --accept.\n';
  }
  return quiet.map((title) => `acknowledged  ${title}\n`).join('');
}
