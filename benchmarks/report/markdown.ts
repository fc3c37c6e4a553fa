/** A session in Markdown: a report for people who read text, and the table of the README. */
import { count } from '../../host/cli/format.ts';
import { describeFingerprint } from '../compare/fingerprint.ts';
import { evidenceOf, formatFactor, formatSpread, formatSummary, verdictWords } from '../compare/format.ts';
import { renderPullRequest } from '../compare/pull-request.ts';
import { summary } from '../compare/row.ts';
import { commitRange } from '../history/changes.ts';
import { markdownTable, markdownText } from '../markdown.ts';
import { armName, type Session } from '../session.ts';
import type { ReportInput } from './input.ts';
import { gainOf, makeView, type ReportView, timesNative } from './view.ts';

/** Lines of the README that enclose {@link renderReadmeTable}. */
export const BENCH_MARKERS = { begin: '<!-- bench:begin -->', end: '<!-- bench:end -->' } as const;

/**
 * What stands in the README between {@link BENCH_MARKERS}: every suite as the newest session has it that measured it. Verdicts
 * are those of that whole session.
 */
export function renderReadmeTable(sessions: readonly Session[]): string {
  const parts = newestOfSuites(sessions).map(({ session, suites }) => ({
    ...{ session, suites },
    view: makeView({ session, comparison: null, history: null, noiseFloor: () => null }),
  }));
  return [
    armTable(parts.flatMap(({ view, suites }) => armRows(view, suites))),
    ...parts.flatMap(({ view, session, suites }) => [...means(view), describeRun(session, suites)]),
  ].join('\n\n');
}

/** Newest first, each with the suites that no newer one has. */
function newestOfSuites(sessions: readonly Session[]): { session: Session; suites: ReadonlySet<string> }[] {
  const taken = new Set<string>();
  const newestFirst = sessions.toSorted((a, b) => Date.parse(b.date) - Date.parse(a.date));
  return newestFirst.flatMap((session) => {
    const suites = new Set(suitesOf(session).filter((suite) => !taken.has(suite)));
    for (const suite of suites) taken.add(suite);
    return suites.size === 0 ? [] : [{ session, suites }];
  });
}

const suitesOf = ({ measurements }: Session): string[] => [...new Set(measurements.map(({ suite }) => suite))];

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
    armTable(armRows(view, null)),
    ...means(view),
    describeRun(session, null),
    ...(comparison === null ? [] : [renderPullRequest(comparison).trimEnd()]),
    ...(changes.length === 0 ? [] : ['### Changes in the history', changes.join('\n')]),
  ].join('\n\n')}\n`;
}

const armTable = (rows: readonly string[][]): string =>
  markdownTable(['benchmark', 'arm', 'verdict', 'median', '±', 'gain', 'of native', 'runs'], rows, 3);

/** `suites`: of these alone; null: of all. */
function armRows(view: ReportView, suites: ReadonlySet<string> | null): string[][] {
  const shown = view.whole.measurements.filter(({ suite }) => suites === null || suites.has(suite));
  return shown.map((one) => {
    const row = gainOf(view, one);
    const native = timesNative(view, one);
    return [
      markdownText(`${one.suite}/${one.benchmark}`),
      markdownText(view.label(armName(one.arm)).label),
      one.failed > 0 ? 'broken' : row === undefined ? (one.arm.native ? 'limit' : 'base') : verdictWords(row),
      formatSummary(summary(one.values), one.unit),
      formatSpread(summary(one.values)),
      formatFactor(row === undefined ? null : (evidenceOf(row.verdict)?.ratio ?? null)),
      native === null ? '-' : `${native.toPrecision(3)}×`,
      String(one.values.length),
    ];
  });
}

function means({ arms, label }: ReportView): string[] {
  if (arms.means.length === 0) return [];
  const sentences = arms.means.map(
    ({ changeArm, baseArm, ratio, benchmarks }) =>
      `${markdownText(label(changeArm).label)} against ${markdownText(label(baseArm).label)}: ${formatFactor(ratio)} (geometric mean of ${count(benchmarks, 'benchmark')}).`,
  );
  return [sentences.join(' ')];
}

function describeRun(session: Session, suites: ReadonlySet<string> | null): string {
  const { date, commit, fingerprint, rejected } = session;
  const emulated = fingerprint.accelerator === 'tcg' ? ' The CPU is emulated: ratios hold, absolute times do not.' : '';
  const facts = describeFingerprint(fingerprint).map(([title, value]) => `${title} ${value}`);
  const lost = rejected.length === 0 ? '' : ` ${count(rejected.length, 'sample')} did not count.`;
  const at = commit === null ? '' : `, commit ${commit.id.slice(0, 10)}${commit.dirty ? ' with changes' : ''}`;
  const what = suites === null ? 'Measured' : `${[...suites].map(markdownText).join(', ')}: measured`;
  return `${what} on ${date.slice(0, 10)} ${howMeasured(session)}${at}.${emulated}${lost} ${markdownText(`${facts.join('; ')}.`)}`;
}

/** The command, from the second version of sessions on, which keep it; before that what can be told from the samples. */
function howMeasured({ tier, choice, measurements }: Session): string {
  if (choice === undefined) {
    const runs = measurements.map(({ values }) => values.length);
    const [least, most] = [Math.min(...runs), Math.max(...runs)];
    const times = runs.length === 0 ? '' : `, ${least === most ? most : `${least} to ${most}`} runs an arm`;
    return `in the tier ${tier}${times}`;
  }
  const flags = [
    ...(choice.purpose === 'run' ? [`--tier ${tier}`] : []),
    ...choice.suites.map((suite) => `--suite ${suite}`),
    ...choice.benchmarks.map((benchmark) => `--benchmark ${benchmark}`),
    ...(choice.runs === null ? [] : [`--runs ${choice.runs}`]),
  ];
  const command = { run: 'run', calibration: 'calibrate', build: 'build' }[choice.purpose];
  return `with \`${['bench', command, ...flags].join(' ')}\``;
}
