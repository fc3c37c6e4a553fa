/** A comparison of two sessions for the terminal. */
import { count } from '../../host/cli/format.ts';
import { PLAIN, type Style } from '../../host/cli/style.ts';
import { renderTable, wrap } from '../../host/cli/table.ts';
import type { Outcome } from '../statistics/verdict.ts';
import {
  evidenceOf,
  formatChange,
  formatInterval,
  formatP,
  formatSpread,
  formatSummary,
  rowTitle,
  verdictWords,
} from './format.ts';
import { type ComparedRow, isQuiet } from './row.ts';
import type { Gate, SessionComparison, SessionName } from './sessions.ts';
import { explainAmong, gateWords, needsWords } from './words.ts';

/** A table of the rows without counts that are the same, then every row that is neither the same nor faster in words, then the verdict of the gate. */
export function renderComparison(comparison: SessionComparison, style: Style = PLAIN, width = 120): string {
  const { base, change, obstacles, accepted, added, geometricMean, rows } = comparison;
  const right = (title: string) => ({ title, align: 'right' as const });
  const table = renderTable(
    [
      { title: 'BENCHMARK' },
      { title: 'ARM' },
      right('BASE'),
      right(''),
      right('CHANGE'),
      right(''),
      right('DIFFERENCE'),
      right('INTERVAL'),
      right('P'),
      { title: 'VERDICT', paint: (cell) => paintVerdict(cell, style) },
    ],
    [
      ...rows.filter((row) => !isQuiet(row)).map(cells),
      ...(geometricMean === null
        ? []
        : [['geometric mean', '', '', '', '', '', formatChange(geometricMean.ratio), '', '', '']]),
    ],
  );
  const doubtful = rows.filter((row) => !['same', 'faster'].includes(row.verdict.kind) && needsWords(row, obstacles));
  const quiet = rows.filter(isQuiet).length;
  const explained = explanations(doubtful, rows).map((text) => `  ${wrap(text, width, 2)}\n`);
  return [
    `base    ${describeSession(base)}\n`,
    `change  ${describeSession(change)}\n`,
    '\n',
    table,
    ...(quiet === 0
      ? []
      : [`\n${count(quiet, 'count')} without a change: programs started, cache entries read and written.\n`]),
    ...(explained.length === 0 ? [] : ['\n', ...explained]),
    ...list('Not comparable as a whole:', obstacles),
    ...list('Differs, and was accepted:', accepted),
    ...list('New, nothing to compare with:', added),
    `\n${renderOutcome(comparison, style)}\n`,
  ].join('');
}

/** More rows than these with the same words are told as one: the table says which they are. */
const MOST_ALIKE = 3;

function explanations(doubtful: readonly ComparedRow[], rows: readonly ComparedRow[]): string[] {
  const alike = new Map<string, ComparedRow[]>();
  for (const row of doubtful) {
    const words = explainAmong(row, rows);
    alike.set(words, [...(alike.get(words) ?? []), row]);
  }
  return [...alike].flatMap(([words, group]) =>
    group.length > MOST_ALIKE
      ? [`${group.length} rows: ${words}`]
      : group.map((row) => `${rowTitle(row)} ${row.changeArm}: ${words}`),
  );
}

const list = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`\n${title}\n`, ...lines.map((line) => `  ${line}\n`)];

/** `20261124-abcdef, 2026-11-24, commit 1234abcd with changes, quick tier` */
export function describeSession({ id, date, commit, tier, state }: SessionName): string {
  return [
    id,
    date.slice(0, 10),
    ...(commit === null ? [] : [`commit ${commit.id.slice(0, 10)}${commit.dirty ? ' with changes' : ''}`]),
    `${tier} tier`,
    ...(state === 'partial' ? ['PARTIAL'] : []),
  ].join(', ');
}

function cells(row: ComparedRow): string[] {
  const { base, change, changeArm, unit, verdict } = row;
  const evidence = evidenceOf(verdict);
  return [
    rowTitle(row),
    changeArm,
    formatSummary(base, unit),
    formatSpread(base),
    formatSummary(change, unit),
    formatSpread(change),
    formatChange(evidence?.ratio ?? null),
    evidence === null || evidence.p === null ? '-' : formatInterval(evidence),
    formatP(evidence?.adjustedP ?? null),
    verdictWords(row),
  ];
}

function paintVerdict(cell: string, style: Style): string {
  if (cell === 'faster' || cell === 'better') return style.green(cell);
  if (cell === 'slower' || cell === 'worse' || cell === 'broken') return style.red(cell);
  return cell === 'same' || cell === '' ? style.dim(cell) : style.yellow(cell);
}

const GATE_WORDS: Readonly<Record<Gate, string>> = { all: 'time and counts', time: 'time', counts: 'counts' };

function renderOutcome(comparison: SessionComparison, style: Style): string {
  const { outcome, gate } = comparison;
  const paint: Readonly<Record<Outcome, (text: string) => string>> = {
    ok: style.green,
    regression: style.red,
    inconclusive: style.yellow,
    broken: style.red,
    'not-comparable': style.yellow,
  };
  const others = (['time', 'counts'] as const).filter((one) => one !== gate);
  const rest = others.map((one) => `${GATE_WORDS[one]}: ${gateWords(comparison, one).toLowerCase()}`);
  return `${style.bold(paint[outcome](gateWords(comparison, gate)))} by ${GATE_WORDS[gate]} (${rest.join('; ')})`;
}
