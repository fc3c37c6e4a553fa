/** The report: Markdown, to be pasted into an issue. */
import { NEEDS } from './claim.ts';
import type { MacFacts } from './mac-facts.ts';
import type { Checked, Outcome } from './run.ts';

const MARKS = {
  pass: '✅ pass',
  fail: '❌ fail',
  noted: 'ℹ️ noted',
  unclear: '❔ unclear',
  skipped: '– skipped',
} as const;

export interface ReportOptions {
  /** Replaced by `~` wherever it occurs: nobody's name belongs into an issue. */
  readonly home: string;
  /** Day of the check. */
  readonly date: string;
}

export function renderReport({ facts, checked }: Outcome, { home, date }: ReportOptions): string {
  const lines = [
    `## mac-check: rosetta-vm ${facts.version} on macOS ${facts.macOS}, ${facts.chip}`,
    '',
    ...factLines(facts, date),
    '',
    summary(checked),
    '',
    '| claim | result | time |',
    '| --- | --- | --- |',
    ...checked.map(({ claim, verdict, ms }) => {
      const time = verdict.result === 'skipped' ? '' : `${(ms / 1000).toFixed(1)} s`;
      return `| \`${claim.id}\` ${cell(claim.claim)} | ${MARKS[verdict.result]} | ${time} |`;
    }),
    '',
    '<details><summary>Evidence</summary>',
    '',
    ...checked.filter(({ verdict }) => verdict.result !== 'skipped').flatMap(evidence),
    '</details>',
    '',
    ...skippedLines(checked),
  ];
  const text = lines.join('\n');
  return home.length > 1 ? text.replaceAll(home, '~') : text;
}

function factLines(facts: MacFacts, date: string): string[] {
  const rows: readonly [string, string][] = [
    ['Date', date],
    ['macOS', `${facts.macOS} (${facts.build})${facts.virtual ? ', in a virtual machine' : ''}`],
    [
      'Chip',
      `${facts.chip}, ${facts.cpus} CPUs, ${facts.memoryGiB ?? '?'} GiB${facts.appleSilicon ? '' : ', not Apple silicon'}`,
    ],
    ['Node.js', facts.node],
    ['Homebrew’s Node.js', facts.homebrewNode ?? 'none'],
    ['Command Line Tools', facts.commandLineTools ? 'installed' : 'not installed'],
    ['System Integrity Protection', facts.integrityProtection],
  ];
  return rows.map(([name, value]) => `- ${name}: ${value}`);
}

function summary(checked: readonly Checked[]): string {
  const count = (result: keyof typeof MARKS): number =>
    checked.filter(({ verdict }) => verdict.result === result).length;
  const parts = (Object.keys(MARKS) as (keyof typeof MARKS)[]).map((result) => `${count(result)} ${result}`);
  return `**${parts.join(', ')}**`;
}

/** What is not in a fence must not be taken for markup of HTML. */
const plain = (text: string): string => text.replaceAll('<', '&lt;');

/** A pipe or a line's end would end the cell. */
const cell = (text: string): string => plain(text).replaceAll('|', '\\|').replaceAll('\n', ' ');

function evidence({ claim, verdict }: Checked): string[] {
  // A fence longer than any run of backticks in the text (CommonMark 0.31, fenced code blocks).
  const longest = Math.max(2, ...[...verdict.evidence.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const { id, claim: text, source, how } = claim;
  return [
    `**\`${id}\`**: ${plain(text)} (${MARKS[verdict.result]})`,
    '',
    plain(`Checked: ${how} Source: ${source}.`),
    '',
    fence,
    verdict.evidence || '(nothing)',
    fence,
    '',
  ];
}

function skippedLines(checked: readonly Checked[]): string[] {
  const skipped = checked.filter(({ verdict }) => verdict.result === 'skipped');
  if (skipped.length === 0) return [];
  const byHand = skipped.filter(({ claim }) => claim.needs.includes('hands'));
  const others = skipped.filter(({ claim }) => !claim.needs.includes('hands'));
  return [
    ...(others.length === 0 ? [] : ['Skipped:', '']),
    ...others.map(({ claim, verdict }) => `- \`${claim.id}\`: ${plain(verdict.evidence)}`),
    ...(byHand.length === 0 ? [] : ['', `By hand (needs ${NEEDS.hands}):`, '']),
    ...byHand.map(({ claim }) => `- [ ] \`${claim.id}\` ${claim.claim} ${claim.how}`),
    '',
  ];
}
