/** A session in Markdown: a report for people who read text, and the table of the README. */
import { count } from '../../host/cli/format.ts';
import { describeFingerprint } from '../compare/fingerprint.ts';
import { evidenceOf, formatFactor, formatSpread, formatSummary, verdictLabel } from '../compare/format.ts';
import { renderPullRequest } from '../compare/pull-request.ts';
import { summary } from '../compare/row.ts';
import { commitRange } from '../history/changes.ts';
import { markdownTable, markdownText } from '../markdown.ts';
import { armName, type Session } from '../session.ts';
import type { ReportInput } from './input.ts';
import { gainOf, makeView, type ReportView, timesNative } from './view.ts';

/** Lines of the README that enclose {@link renderReadmeTable}. */
export const BENCH_MARKERS = { begin: '<!-- bench:begin -->', end: '<!-- bench:end -->' } as const;

/** What stands in the README between {@link BENCH_MARKERS}. */
export function renderReadmeTable(session: Session): string {
  const view = makeView({ session, comparison: null, history: null, noiseFloor: () => null });
  return [armTable(view), ...means(view), describeRun(session)].join('\n\n');
}

/** The table, the comparison with an earlier session and the open changes of the history. */
export function renderMarkdown(input: ReportInput): string {
  const view = makeView(input);
  const { session, comparison, history } = input;
  const changes = (history?.series ?? []).flatMap((series) =>
    series.changes.map(
      (change) =>
        `- **${change.state}**: ${markdownText(`${series.suite}/${series.benchmark} ${armName(series.arm)}: ${commitRange(change)}`)}`,
    ),
  );
  return `${[
    `## Benchmarks of ${session.date.slice(0, 10)}, ${session.tier} tier`,
    ...(session.state === 'partial'
      ? [`**Partial**: ${markdownText(session.reason ?? 'stopped before its end')}`]
      : []),
    armTable(view),
    ...means(view),
    describeRun(session),
    ...(comparison === null ? [] : [renderPullRequest(comparison).trimEnd()]),
    ...(changes.length === 0 ? [] : ['### Changes in the history', changes.join('\n')]),
  ].join('\n\n')}\n`;
}

function armTable(view: ReportView): string {
  const titles = ['benchmark', 'arm', 'verdict', 'median', '±', 'gain', 'of native', 'runs'];
  const rows = view.whole.measurements.map((one) => {
    const row = gainOf(view, one);
    const native = timesNative(view, one);
    return [
      markdownText(`${one.suite}/${one.benchmark}`),
      markdownText(view.label(armName(one.arm)).label),
      one.failed > 0 ? 'broken' : row === undefined ? (one.arm.native ? 'limit' : 'base') : verdictLabel(row),
      formatSummary(summary(one.values), one.unit),
      formatSpread(summary(one.values)),
      formatFactor(row === undefined ? null : (evidenceOf(row.verdict)?.ratio ?? null)),
      native === null ? '-' : `${native.toPrecision(3)}×`,
      String(one.values.length),
    ];
  });
  return markdownTable(titles, rows, 3);
}

function means({ arms, label }: ReportView): string[] {
  if (arms.means.length === 0) return [];
  const sentences = arms.means.map(
    ({ changeArm, baseArm, ratio, benchmarks }) =>
      `${markdownText(label(changeArm).label)} against ${markdownText(label(baseArm).label)}: ${formatFactor(ratio)} (geometric mean of ${count(benchmarks, 'benchmark')}).`,
  );
  return [sentences.join(' ')];
}

function describeRun({ date, tier, commit, fingerprint, rejected }: Session): string {
  const emulated = fingerprint.accelerator === 'tcg' ? ' The CPU is emulated: ratios hold, absolute times do not.' : '';
  const facts = describeFingerprint(fingerprint).map(([title, value]) => `${title} ${value}`);
  const lost = rejected.length === 0 ? '' : ` ${count(rejected.length, 'sample')} did not count.`;
  const at = commit === null ? '' : `, commit ${commit.id.slice(0, 10)}${commit.dirty ? ' with changes' : ''}`;
  return `Measured on ${date.slice(0, 10)} with \`bench run --tier ${tier}\`${at}.${emulated}${lost} ${markdownText(`${facts.join('; ')}.`)}`;
}
