/** The report as data. */
import { type ArmComparison, compareArms, ruleOf } from '../compare/arms.ts';
import { comparable } from '../compare/comparable.ts';
import type { SessionComparison } from '../compare/sessions.ts';
import type { HistoryReport } from '../history/changes.ts';
import type { Session } from '../session.ts';
import type { ReportInput } from './input.ts';

export const REPORT_VERSION = 1;

export interface ReportData {
  readonly schemaVersion: typeof REPORT_VERSION;
  readonly kind: 'rosetta-vm-bench-report';
  readonly session: Session;
  readonly arms: ArmComparison;
  readonly comparison: SessionComparison | null;
  readonly history: HistoryReport | null;
}

export function reportData({ session, comparison, history, noiseFloor }: ReportInput): ReportData {
  const arms = compareArms(comparable(session), { noiseFloor, rule: ruleOf(session) });
  return { ...{ schemaVersion: REPORT_VERSION, kind: 'rosetta-vm-bench-report', session, arms, comparison, history } };
}

export const renderJson = (input: ReportInput): string => `${JSON.stringify(reportData(input), null, 2)}\n`;
