/** The report's sections, one function each, in the order of the page. An empty one is null. */
import { count } from '../../host/cli/format.ts';
import { benchmarkName } from '../compare/comparable.ts';
import { describeFingerprint } from '../compare/fingerprint.ts';
import {
  evidenceOf,
  formatChange,
  formatFactor,
  formatFactorInterval,
  formatInterval,
  formatP,
  formatQuantity,
  formatSpread,
  formatSummary,
  rowTitle,
  verdictLabel,
} from '../compare/format.ts';
import { type ComparedRow, isQuiet, summary } from '../compare/row.ts';
import { describeSession } from '../compare/text.ts';
import { explainAmong, needsWords, OUTCOME_WORDS } from '../compare/words.ts';
import { commitRange, type HistoryReport, type Series } from '../history/changes.ts';
import { leftOutLines } from '../history/text.ts';
import { armName } from '../session.ts';
import { changeChart, gainChart, historyChart, sampleChart } from './charts.ts';
import { type Html, html } from './html-text.ts';
import { gainOf, type ReportView, timesNative } from './view.ts';

/** More figures would be a page that nobody scrolls through; the data has them all. */
const MAX_HISTORY_FIGURES = 24;

const TONES: Readonly<Record<ComparedRow['verdict']['kind'], string>> = {
  faster: 'good',
  slower: 'bad',
  same: 'plain',
  inconclusive: 'open',
  broken: 'bad',
  'not-comparable': 'open',
};

const pill = (row: ComparedRow): Html =>
  html`<span class="pill ${TONES[row.verdict.kind]}">${verdictLabel(row)}</span>`;

/** A section with its title and what it shows. */
export const card = (id: string, title: string, lead: string, body: readonly (Html | null)[]): Html =>
  html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2><p class="soft">${lead}</p>${body}</section>`;

/** The numbers that most people look for. */
export function tiles(view: ReportView): Html {
  const { arms, comparison, whole, label } = view;
  const gains = arms.means.map(({ ratio, benchmarks, baseArm, changeArm }) => {
    const rows = arms.rows.filter((row) => row.baseArm === baseArm && row.changeArm === changeArm);
    const proved = rows.some(({ verdict: { kind } }) => kind === 'faster' || kind === 'slower');
    return html`<div class="tile ${proved && ratio < 1 ? 'good' : 'plain'}"><strong>${ratio <= 1 ? `${formatFactor(ratio)} faster` : `${formatFactor(1 / ratio)} slower`}</strong><span>${label(changeArm).label} against ${label(baseArm).label}: geometric mean of ${count(benchmarks, 'benchmark')}${proved ? '' : ', no difference proved'}</span></div>`;
  });
  const tone = {
    ok: 'good',
    regression: 'bad',
    inconclusive: 'open',
    broken: 'bad',
    'not-comparable': 'open',
  } as const;
  const gate =
    comparison === null
      ? null
      : html`<div class="tile ${tone[comparison.outcome]}"><strong>${OUTCOME_WORDS[comparison.outcome]}</strong><span>against ${comparison.base.id}</span></div>`;
  const samples = whole.measurements.reduce((sum, { values }) => sum + values.length, 0);
  return html`<div class="tiles">${gate}${gains.slice(0, 3)}<div class="tile"><strong>${samples}</strong><span>samples of ${count(view.benchmarks.size, 'benchmark')}, taken in turn</span></div></div>`;
}

export function armsSection(view: ReportView): Html {
  const { arms, label, benchmarks } = view;
  const marks = arms.rows.flatMap((row) => {
    const evidence = evidenceOf(row.verdict);
    if (evidence === null || evidence.ratio === null || evidence.interval === null) return [];
    const { label: arm, colour } = label(row.changeArm);
    // A ratio of costs is turned round into how many times faster; so are the ends of its interval.
    const { low, high } = evidence.interval;
    return [{ benchmark: benchmarkName(row), arm, colour, factor: 1 / evidence.ratio, low: 1 / high, high: 1 / low }];
  });
  const legend = [...new Set(arms.rows.map(({ changeArm }) => changeArm))].map((arm) => {
    const base = arms.rows.find((row) => row.changeArm === arm)?.baseArm ?? '';
    return html`<li class="${label(arm).className}">${label(arm).label} against ${label(base).label}</li>`;
  });
  const figure =
    marks.length === 0
      ? null
      : html`<figure class="wide"><figcaption>How many times faster <span>than the base arm, with the interval of 99 % confidence</span></figcaption>${gainChart(marks)}<ul class="legend">${legend}</ul></figure>`;
  const bodies = [...benchmarks].map(
    ([name, measurements]) =>
      html`<tbody>${measurements.map((one, index) => {
        const row = gainOf(view, one);
        const evidence = row === undefined ? null : evidenceOf(row.verdict);
        const arm = label(armName(one.arm));
        const native = timesNative(view, one);
        const head = html`<th scope="rowgroup" rowspan="${measurements.length}">${name}</th>`;
        return html`<tr>${index === 0 ? head : null}<td class="arm ${arm.className}">${arm.label}</td><td class="number">${one.values.length}${one.failed > 0 ? html` <span class="pill bad">${one.failed} failed</span>` : null}</td><td class="number">${formatSummary(summary(one.values), one.unit)}</td><td class="number soft">${formatSpread(summary(one.values))}</td><td class="number">${evidence === null ? '' : formatFactor(evidence.ratio)}</td><td class="number soft">${evidence === null ? '' : formatFactorInterval(evidence)}</td><td>${row === undefined ? html`<span class="soft">${one.arm.native ? 'limit' : 'base'}</span>` : pill(row)}</td><td class="number">${native === null ? '' : `${native.toPrecision(3)}×`}</td></tr>`;
      })}</tbody>`,
  );
  return card(
    'arms',
    'What the translation costs, and what the cache gives',
    'Each arm against the one that differs from it in one thing only. Native is the same work without translation in the same guest: the limit.',
    [
      figure,
      html`<div class="scroll"><table><caption>Medians of all samples; ± is the median absolute deviation</caption><thead><tr><th scope="col">benchmark</th><th scope="col">arm</th><th scope="col" class="number">runs</th><th scope="col" class="number">median</th><th scope="col" class="number">±</th><th scope="col" class="number">gain</th><th scope="col" class="number">interval</th><th scope="col">verdict</th><th scope="col" class="number">of native</th></tr></thead>${bodies}</table></div>`,
    ],
  );
}

export function comparisonSection({ comparison, label }: ReportView): Html | null {
  if (comparison === null) return null;
  const { rows, obstacles, accepted, added, base, geometricMean } = comparison;
  const marks = rows.flatMap((row) => {
    const evidence = evidenceOf(row.verdict);
    if (row.metric !== 'value' || evidence === null || evidence.ratio === null || evidence.interval === null) return [];
    const tone = { faster: 'var(--good)', slower: 'var(--bad)', same: 'var(--soft)' } as const;
    const colour = row.verdict.kind in tone ? tone[row.verdict.kind as keyof typeof tone] : 'var(--open)';
    return [
      { title: `${rowTitle(row)}, ${label(row.changeArm).label}`, ratio: evidence.ratio, ...evidence.interval, colour },
    ];
  });
  const quiet = rows.filter(isQuiet).length;
  const threshold = Math.min(
    ...rows.flatMap(({ metric, verdict }) => (metric === 'value' ? (evidenceOf(verdict)?.threshold ?? []) : [])),
  );
  const mean =
    geometricMean === null
      ? null
      : html`<tfoot><tr><th scope="row">geometric mean</th><td>${count(geometricMean.benchmarks, 'row')} of time</td><td></td><td></td><td class="number">${formatChange(geometricMean.ratio)}</td><td></td><td></td><td></td></tr></tfoot>`;
  return card('change', 'Against an earlier session', `The base is ${describeSession(base)}.`, [
    notice('These sessions cannot be compared as a whole:', obstacles, 'bad'),
    notice('These differences were accepted:', accepted, ''),
    marks.length === 0
      ? null
      : html`<figure class="wide"><figcaption>Change of cost <span>right is worse; the band does not count</span></figcaption>${changeChart(marks, threshold)}</figure>`,
    html`<div class="scroll"><table><caption>Time is tested, counts are held exactly; p is adjusted for the whole suite</caption><thead><tr><th scope="col">benchmark</th><th scope="col">arm</th><th scope="col" class="number">base</th><th scope="col" class="number">now</th><th scope="col" class="number">cost</th><th scope="col" class="number">interval</th><th scope="col" class="number">p</th><th scope="col">verdict</th></tr></thead><tbody class="rule">${rows
      .filter((row) => !isQuiet(row))
      .map((row) => {
        const evidence = evidenceOf(row.verdict);
        const arm = label(row.changeArm);
        return html`<tr><th scope="row">${rowTitle(row)}</th><td class="arm ${arm.className}">${arm.label}</td><td class="number">${formatSummary(row.base, row.unit)}</td><td class="number">${formatSummary(row.change, row.unit)}</td><td class="number">${formatChange(evidence?.ratio ?? null)}</td><td class="number soft">${evidence === null || evidence.p === null ? '-' : formatInterval(evidence)}</td><td class="number soft">${formatP(evidence?.adjustedP ?? null)}</td><td>${pill(row)}</td></tr>`;
      })}</tbody>${mean}</table></div>`,
    quiet === 0
      ? null
      : html`<p class="soft after">${count(quiet, 'count')} without a change: programs started, cache entries read and written.</p>`,
    added.length === 0 ? null : notice('New, nothing to compare with:', added, ''),
  ]);
}

export function notice(title: string, lines: readonly string[], tone: 'bad' | ''): Html | null {
  if (lines.length === 0) return null;
  return html`<div class="notice ${tone}"><strong>${title}</strong><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></div>`;
}

export function samplesSection({ benchmarks, label }: ReportView): Html | null {
  const figures = [...benchmarks].flatMap(([name, measurements]) => {
    const measured = measurements.filter(({ values }) => values.length > 0);
    return [...new Set(measured.map(({ unit }) => unit))].map((unit) => {
      const arms = measured
        .filter((one) => one.unit === unit)
        .map(({ arm, values }) => ({ arm: label(armName(arm)).label, colour: label(armName(arm)).colour, values }));
      return html`<figure><figcaption>${name}</figcaption>${sampleChart(name, arms, unit)}</figure>`;
    });
  });
  if (figures.length === 0) return null;
  return card(
    'samples',
    'Every sample',
    'A dot is one sample: how far it is from the median of its arm, which stands at the right. Within an arm the first sample is on top and the last below, so that a machine that gets slower while it is measured shows as a slope.',
    [html`<div class="figures">${figures}</div>`],
  );
}

export function historySection({ history, session, label }: ReportView): Html | null {
  if (history === null) return null;
  // First what changed, then what this session is the latest of, then what other machines have.
  const rank = ({ changes, points }: Series): number =>
    changes.length > 0 ? 0 : points.some((point) => point.session === session.id) ? 1 : 2;
  const shown = history.series.filter(({ points }) => points.length > 1).sort((a, b) => rank(a) - rank(b));
  const figures = shown.slice(0, MAX_HISTORY_FIGURES).map((one) => {
    const arm = label(armName(one.arm));
    return html`<figure><figcaption>${one.suite}/${one.benchmark} <span>${arm.label}, machine ${one.digest.slice(0, 8)}</span></figcaption>${historyChart(one, arm.colour)}</figure>`;
  });
  const left = shown.length - figures.length;
  return card(
    'history',
    'History',
    'A dot is the median of one session. A dashed rule is a change that two methods agree on; the level between changes is the horizontal line.',
    [
      figures.length === 0 ? html`<p>No benchmark has two sessions yet.</p>` : null,
      changesList(history, label),
      html`<div class="figures">${figures}</div>`,
      left > 0
        ? html`<p class="soft">${count(left, 'more series', 'more series')} in the data of this file.</p>`
        : null,
      ...leftOutLines(history).map((line) => html`<p class="soft">${line}</p>`),
      history.skippedCount === 0
        ? null
        : html`<p class="soft">${count(history.skippedCount, 'line')} of the history could not be read.</p>`,
    ],
  );
}

function changesList({ series }: HistoryReport, label: ReportView['label']): Html | null {
  const all = series.flatMap((one) => one.changes.map((change) => [one, change] as const));
  if (all.length === 0) return null;
  const tone = { open: 'bad', acknowledged: 'plain', recovered: 'plain', improvement: 'good' } as const;
  return html`<dl class="words">${all.map(
    ([one, change]) =>
      html`<div><dt>${one.suite}/${one.benchmark}, ${label(armName(one.arm)).label} <span class="pill ${tone[change.state]}">${change.state}</span></dt><dd>${describeStep(one, change)} Look at <code>${commitRange(change)}</code>.${change.reason === null ? null : html` Acknowledged: ${change.reason}`}</dd></div>`,
  )}</dl>`;
}

function describeStep({ unit }: Series, { before, after, ratio, firstAfter }: Series['changes'][number]): string {
  const sizes = `${formatQuantity(before, unit)} before, ${formatQuantity(after, unit)} since ${firstAfter.date.slice(0, 10)}`;
  return `${sizes}: the cost changed by ${formatChange(ratio)}.`;
}

export function wordsSection({ arms, comparison, label }: ReportView): Html | null {
  const entries = [
    ...(comparison?.rows ?? [])
      .filter((row) => !isQuiet(row) && needsWords(row, comparison?.obstacles ?? []))
      .map((row) => ({ row, against: 'the earlier session', among: comparison?.rows ?? [] })),
    ...arms.rows.map((row) => ({ row, against: label(row.baseArm).label, among: [] })),
  ];
  if (entries.length === 0) return null;
  const list = (chosen: typeof entries): Html | null =>
    chosen.length === 0
      ? null
      : html`<dl class="words">${chosen.map(
          ({ row, against, among }) =>
            html`<div><dt>${rowTitle(row)}, ${label(row.changeArm).label} against ${against} ${pill(row)}</dt><dd>${explainAmong(row, among)}</dd></div>`,
        )}</dl>`;
  const same = entries.filter(({ row }) => row.verdict.kind === 'same');
  return card(
    'words',
    'Each verdict in words',
    'A verdict is given only when chance is ruled out at 1 % over the whole suite and the change is large enough to count. “Same” is a finding too: a change that counts is ruled out. The rest is inconclusive.',
    [
      list(entries.filter((entry) => !same.includes(entry))),
      same.length === 0
        ? null
        : html`<details><summary>${count(same.length, 'comparison')} found the same</summary>${list(same)}</details>`,
    ],
  );
}

export function machineSection({ session, label }: ReportView): Html {
  const facts = [
    ...describeFingerprint(session.fingerprint),
    ['session', session.id] as const,
    ['rosetta-vm', session.version] as const,
    ...(session.clockJumpMs >= 1000
      ? [['clock', `jumped by ${(session.clockJumpMs / 1000).toFixed(1)} s while it was measured`] as const]
      : []),
  ];
  const rejected = session.rejected.map(
    (one) => `${benchmarkName(one)}, ${label(armName(one.arm)).label}: ${one.reason}`,
  );
  return card('machine', 'What it was measured on', 'Sessions are compared only when all of this is equal.', [
    html`<dl class="facts">${facts.map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl>`,
    notice('Samples that do not count:', rejected, 'bad'),
  ]);
}
