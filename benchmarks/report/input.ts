/** What a report is made of. */
import type { SessionComparison } from '../compare/sessions.ts';
import type { HistoryReport } from '../history/changes.ts';
import type { Session } from '../session.ts';

export interface ReportInput {
  readonly session: Session;
  /** The session against an earlier one; null when there is none. */
  readonly comparison: SessionComparison | null;
  readonly history: HistoryReport | null;
  /** Of a benchmark in an arm (see `measurementKey`), as a share; null when the machine was not calibrated for it. */
  readonly noiseFloor: (key: string) => number | null;
}
