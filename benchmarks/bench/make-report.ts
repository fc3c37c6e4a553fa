/** Gathers what a report shows beside its session, and words it. */
import { RosettaVmError } from '../../host/errors.ts';
import type { StatePaths } from '../../host/paths.ts';
import { comparable } from '../compare/comparable.ts';
import type { FingerprintField } from '../compare/fingerprint.ts';
import { compareSessions } from '../compare/sessions.ts';
import { historyReport } from '../history/changes.ts';
import { readHistory } from '../history/read.ts';
import type { ReportInput } from '../report/input.ts';
import type { Session } from '../session.ts';
import { findPair } from './find-session.ts';
import { knownNoise } from './known-noise.ts';

export interface ReportSources {
  readonly paths: StatePaths;
  /** File; it may not exist yet. */
  readonly history: string;
  /** Session to compare with, as `bench compare` names it; null: none. */
  readonly base: string | null;
  /** In what the two may differ. */
  readonly accept: readonly FingerprintField[];
}

export interface GatheredReport {
  readonly input: ReportInput;
  /** Sentences for people, of {@link findPair}. */
  readonly notes: readonly string[];
}

/** Throws what {@link findPair} throws. */
export async function reportInput(
  session: Session,
  { paths, history, base, accept }: ReportSources,
): Promise<GatheredReport> {
  const past = await readHistory(history);
  const noise = await knownNoise(paths, session.fingerprint, past);
  const where = { paths, history, cwd: process.cwd() };
  const pair = base === null ? null : await findPair(base, comparable(session), where, accept);
  const input = {
    session,
    comparison: pair === null ? null : compareSessions(pair.base, pair.change, { ...noise, accept }),
    history: past.results.length === 0 ? null : historyReport(past),
    noiseFloor: noise.noiseFloor,
  };
  return { input, notes: pair?.notes ?? [] };
}

/**
 * Puts the table of a folder's sessions between the README's markers. `readme`: a file that has them. Throws `E_INVALID` for
 * one that has not.
 */
export async function updateReadme(readme: string, sessions: readonly Session[]): Promise<string> {
  const { BENCH_MARKERS, renderReadmeTable } = await import('../report/markdown.ts');
  const [before = '', , after] = splitAt(readme, BENCH_MARKERS);
  if (after === undefined) {
    throw new RosettaVmError('E_INVALID', {
      what: 'The table has no place in that file.',
      why: `There are no lines ${BENCH_MARKERS.begin} and ${BENCH_MARKERS.end} in it.`,
      fix: 'Put the two lines where the table shall be.',
    });
  }
  return `${before}${BENCH_MARKERS.begin}\n${renderReadmeTable(sessions)}\n${BENCH_MARKERS.end}${after}`;
}

/** Text before the markers, between them and after them; the last two are undefined when there are none. */
export function splitAt(text: string, { begin, end }: { begin: string; end: string }): string[] {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) return [text];
  return [text.slice(0, from), text.slice(from + begin.length, to), text.slice(to + end.length)];
}

/** What draws figures is loaded only for the format that has some. */
export async function renderReport(
  input: ReportInput,
  format: 'html' | 'markdown' | 'json' | 'readme',
): Promise<string> {
  switch (format) {
    case 'html':
      return (await import('../report/html.ts')).renderHtml(input);
    case 'markdown':
      return (await import('../report/markdown.ts')).renderMarkdown(input);
    case 'readme':
      return `${(await import('../report/markdown.ts')).renderReadmeTable([input.session])}\n`;
    case 'json':
      return (await import('../report/json.ts')).renderJson(input);
  }
}
