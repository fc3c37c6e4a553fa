/** A report with all that can be in one: a regression, an improvement, a count that rose, failed samples, a history. */
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import { fingerprintDigest } from '../../../../benchmarks/compare/fingerprint.ts';
import { compareSessions } from '../../../../benchmarks/compare/sessions.ts';
import { linesOf } from '../../../../benchmarks/history/append.ts';
import { historyReport } from '../../../../benchmarks/history/changes.ts';
import { HISTORY_FORMAT, printLine } from '../../../../benchmarks/history/format.ts';
import { parseHistory } from '../../../../benchmarks/history/read.ts';
import type { ReportInput } from '../../../../benchmarks/report/input.ts';
import { commitOf, fingerprint, makeHistory, makeSession, WARM } from '../session-fixtures.ts';

export async function fullInput(): Promise<ReportInput> {
  const base = makeSession({ seed: 7, id: '20261120-090000-11aa22', date: '2026-11-20T09:00:00Z' });
  const session = makeSession({
    seed: 8,
    commit: commitOf('b'),
    factor: (name, arm) =>
      arm !== WARM ? 1 : name === 'compile/gcc-hello' ? 1.12 : name === 'exec/perl-start' ? 0.9 : 1,
    counts: (name, arm) =>
      arm.native
        ? {}
        : {
            execs: name === 'compile/gcc-hello' ? 7 : 6,
            cacheEntriesRead: arm === WARM ? 11 : 0,
            cacheEntriesWritten: 0,
          },
  });
  const sessions = makeHistory(30, (index, name) =>
    name === 'compile/gcc-hello' && index >= 18 ? 1.12 : name === 'exec/python3-start' && index >= 10 ? 0.8 : 1,
  );
  const digest = fingerprintDigest(fingerprint);
  const lines = [
    printLine({ format: HISTORY_FORMAT, line: 'fingerprint', digest, fingerprint }),
    ...sessions.flatMap(linesOf).map(printLine),
  ];
  return {
    session,
    comparison: compareSessions(comparable(base), comparable(session)),
    history: historyReport(await parseHistory(lines.join('')), { now: Date.parse('2026-11-26T00:00:00Z') }),
    noiseFloor: () => 0.012,
  };
}
