/** Gathers what a report shows beside its session, and words it. */
import type { StatePaths } from '../../host/paths.ts';
import { comparable } from '../compare/comparable.ts';
import { compareSessions } from '../compare/sessions.ts';
import { historyReport } from '../history/changes.ts';
import { readHistory } from '../history/read.ts';
import type { ReportInput } from '../report/input.ts';
import { readNoiseFloors } from '../runner/noise-floors.ts';
import type { Session } from '../session.ts';
import { findSession } from './find-session.ts';

export interface ReportSources {
  readonly paths: StatePaths;
  /** File; it may not exist yet. */
  readonly history: string;
  /** Session to compare with, as `bench compare` names it; null: none. */
  readonly base: string | null;
}

/** Throws what {@link findSession} throws. */
export async function reportInput(session: Session, { paths, history, base }: ReportSources): Promise<ReportInput> {
  const floors = await readNoiseFloors(paths, session.fingerprint);
  const noiseFloor = (key: string): number | null => floors.get(key)?.floor ?? null;
  const past = await readHistory(history);
  const before = base === null ? null : await findSession(base, { paths, history, cwd: process.cwd() });
  return {
    session,
    comparison: before === null ? null : compareSessions(before, comparable(session), { noiseFloor }),
    history: past.results.length === 0 ? null : historyReport(past),
    noiseFloor,
  };
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
      return `${(await import('../report/markdown.ts')).renderReadmeTable(input.session)}\n`;
    case 'json':
      return (await import('../report/json.ts')).renderJson(input);
  }
}
