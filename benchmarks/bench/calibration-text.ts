/** A calibration for the terminal. */
import { renderTable } from '../../host/cli/table.ts';
import type { CalibrationRow } from './calibration-sessions.ts';

export function renderCalibration(rows: readonly CalibrationRow[]): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const table = renderTable(
    [{ title: 'BENCHMARK' }, { title: 'NOISE FLOOR', align: 'right' }, { title: 'BETWEEN SESSIONS', align: 'right' }],
    rows.map(({ benchmark, floor, sessions }) => [
      benchmark,
      percent(floor),
      sessions === null ? 'not known' : `±${percent(Math.expm1(sessions.deviation))}`,
    ]),
  );
  if (rows.every(({ sessions }) => sessions !== null)) return table;
  return `${table}\nHow far sessions differ is known from the third one of a commit on, without changes in its tree: --sessions 5, or call this again.\n`;
}
