/** What a report is made of. */
import type { NoiseFloorOf } from '../compare/row.ts';
import type { SessionComparison } from '../compare/sessions.ts';
import type { HistoryReport } from '../history/changes.ts';
import type { Session } from '../session.ts';

export interface ReportInput {
  readonly session: Session;
  /** The session against an earlier one; null when there is none. */
  readonly comparison: SessionComparison | null;
  readonly history: HistoryReport | null;
  readonly noiseFloor: NoiseFloorOf;
}
