/** What is known of a machine's noise: within a session from its calibration, between sessions from histories. */
import type { StatePaths } from '../../host/paths.ts';
import type { NoiseFloorOf } from '../compare/row.ts';
import type { CompareOptions } from '../compare/sessions.ts';
import { type History, readHistory, sessionsOf } from '../history/read.ts';
import { sessionNoiseOf } from '../history/session-noise.ts';
import { historyFile } from '../runner/bench-folder.ts';
import { type NoiseFloor, readNoiseFloors } from '../runner/noise-floors.ts';
import type { Fingerprint } from '../session.ts';
import { floorFor } from '../statistics/noise-floor.ts';

export interface KnownNoise {
  readonly noiseFloor: NoiseFloorOf;
  readonly sessionNoise: NonNullable<CompareOptions['sessionNoise']>;
}

/** Of a machine of this fingerprint; `history`: the one that is used, beside which this computer's own counts as well. */
export async function knownNoise(paths: StatePaths, fingerprint: Fingerprint, history: History): Promise<KnownNoise> {
  const own = await readHistory(historyFile(paths));
  const sessions = new Map([...sessionsOf(own), ...sessionsOf(history)].map((one) => [one.id, one]));
  return {
    noiseFloor: floorsOf(await readNoiseFloors(paths, fingerprint)),
    sessionNoise: sessionNoiseOf([...sessions.values()], fingerprint),
  };
}

/** A floor was measured with so many runs, and is asked for with others. */
export const floorsOf =
  (floors: ReadonlyMap<string, NoiseFloor>): NoiseFloorOf =>
  (key, runs) => {
    const known = floors.get(key);
    return known === undefined ? null : floorFor(known.floor, known.runs, runs);
  };
