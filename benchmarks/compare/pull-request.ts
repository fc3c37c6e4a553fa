/** A comparison of two sessions as a comment on a pull request. */
import { count } from '../../host/cli/format.ts';
import { markdownTable, markdownText } from '../markdown.ts';
import type { Outcome } from '../statistics/verdict.ts';
import { evidenceOf, formatChange, formatInterval, formatSummary, rowTitle, verdictWords } from './format.ts';
import { isHeldBack } from './machine-moved.ts';
import { type ComparedRow, isQuiet } from './row.ts';
import type { SessionComparison } from './sessions.ts';
import { describeSession } from './text.ts';
import { explainAmong, gateWords, needsWords } from './words.ts';

/** First line of the comment: by it the action finds the comment to replace. */
export const COMMENT_MARKER = '<!-- rosetta-vm bench -->';

/** GitHub refuses a comment of more than 65,536 characters (its REST API answers "body is too long"). */
const MAX_CHARACTERS = 60_000;
const MAX_ROWS = 100;

const SIGNS: Readonly<Record<Outcome, string>> = {
  ok: '✅',
  regression: '❌',
  inconclusive: '❔',
  broken: '💥',
  'not-comparable': '⚠️',
};

/**
 * What changed comes first, each with its explanation; what did not is folded away. No more than the comment may have
 * characters: what is left out is counted.
 */
export function renderPullRequest(comparison: SessionComparison): string {
  const { rows, outcome, gate, base, change, geometricMean } = comparison;
  const changed = rows.filter(
    (row) => isHeldBack(row) || (row.verdict.kind !== 'same' && row.verdict.kind !== 'inconclusive'),
  );
  const rest = rows.filter((row) => !changed.includes(row) && !isQuiet(row));
  const quiet = rows.filter(isQuiet).length;
  const mean =
    geometricMean === null
      ? ''
      : ` Geometric mean of ${count(geometricMean.benchmarks, 'comparison')}: ${formatChange(geometricMean.ratio)}.`;
  const parts = [
    COMMENT_MARKER,
    `### ${SIGNS[outcome]} Benchmarks: ${gateWords(comparison, gate).toLowerCase()}`,
    `Gate: ${gate}. Counts: ${gateWords(comparison, 'counts').toLowerCase()}. Time: ${gateWords(comparison, 'time').toLowerCase()}.${mean}`,
    ...section('Not comparable as a whole', comparison.obstacles),
    ...(changed.length === 0
      ? ['Nothing changed that is proved.']
      : [
          table(changed),
          ...explanations(
            changed.filter((row) => needsWords(row, comparison.obstacles)),
            rows,
          ),
        ]),
    ...(rest.length === 0 ? [] : [folded(`${count(rest.length, 'row')} without a proved change`, table(rest))]),
    ...(quiet === 0 ? [] : [`${count(quiet, 'count')} without a change.`]),
    ...section('New, nothing to compare with', comparison.added),
    ...section('Differs, and was accepted', comparison.accepted),
    `<sub>base ${markdownText(describeSession(base))}; change ${markdownText(describeSession(change))}</sub>`,
  ];
  return within(parts);
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return [`**${title}:**\n\n${shown(lines, (line) => `- ${markdownText(line)}`)}`];
}

function shown<T>(all: readonly T[], render: (one: T) => string): string {
  const left = all.length - MAX_ROWS;
  return [...all.slice(0, MAX_ROWS).map(render), ...(left > 0 ? [`… and ${left} more`] : [])].join('\n');
}

function table(rows: readonly ComparedRow[]): string {
  const titles = ['benchmark', 'arm', 'verdict', 'base', 'change', 'difference', 'interval'];
  const cells = rows.slice(0, MAX_ROWS).map((row) => {
    const { base, change, changeArm, unit, verdict } = row;
    const evidence = evidenceOf(verdict);
    const label = verdictWords(row);
    return [
      markdownText(rowTitle(row)),
      markdownText(changeArm),
      label === 'same' ? label : `**${label}**`,
      formatSummary(base, unit),
      formatSummary(change, unit),
      formatChange(evidence?.ratio ?? null),
      evidence === null || evidence.p === null ? '-' : formatInterval(evidence),
    ];
  });
  const left = rows.length - cells.length;
  return `${markdownTable(titles, cells, 3)}${left > 0 ? `\n\n… and ${left} more` : ''}`;
}

function explanations(rows: readonly ComparedRow[], all: readonly ComparedRow[]): string[] {
  if (rows.length === 0) return [];
  const explain = (row: ComparedRow) =>
    `- ${markdownText(`${rowTitle(row)} ${row.changeArm}: ${explainAmong(row, all)}`)}`;
  return [folded('Why', shown(rows, explain))];
}

const folded = (title: string, text: string): string => `<details><summary>${title}</summary>\n\n${text}\n\n</details>`;

/** Whole parts only, so that no markup is left open. */
function within(parts: readonly string[]): string {
  let text = '';
  for (const part of parts) {
    if (text.length + part.length > MAX_CHARACTERS) return `${text}\nThe rest is too long for a comment.\n`;
    text += `${part}\n\n`;
  }
  return `${text.trimEnd()}\n`;
}
