/** Equal things measured again and again: within a session for its noise floor, and in several for how far those differ. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandContext } from '../../host/cli/context.ts';
import { comparable, measurementKey } from '../compare/comparable.ts';
import { appendSession } from '../history/append.ts';
import { readHistory } from '../history/read.ts';
import { measuredCommit } from '../measured-commit.ts';
import { historyFile } from '../runner/bench-folder.ts';
import { CALIBRATION_ROUNDS, noiseFloors } from '../runner/calibrate.ts';
import type { Matrix } from '../runner/matrix.ts';
import { keepNoiseFloors, type NoiseFloor } from '../runner/noise-floors.ts';
import type { SessionNoise } from '../statistics/session-noise.ts';
import type { Chosen } from '../suites/load.ts';
import { knownNoise } from './known-noise.ts';
import { type Measured, measure } from './measure.ts';
import type { ChoiceFlags } from './options.ts';

export interface CalibrationOptions extends ChoiceFlags {
  readonly machine: string;
  readonly matrix: Matrix;
  readonly mirror?: string | undefined;
  /** Samples on each side of each comparison within a session. */
  readonly runs: number;
  readonly sessions: number;
  /** Minutes between two of them. */
  readonly pause: number;
  /** File; absent: this computer's own. */
  readonly history?: string | undefined;
}

export interface CalibrationRow extends NoiseFloor {
  /** `suite/benchmark arm`. */
  readonly benchmark: string;
  /** How far sessions of this program differ, by all that the history has of it; null with fewer than three. */
  readonly sessions: SessionNoise | null;
}

export interface Calibration {
  readonly rows: readonly CalibrationRow[];
  /** The last session: the one that ended early, if any did. */
  readonly last: Measured;
  /** Where the noise floors are. */
  readonly file: string | null;
}

/** Throws what keeps a session from beginning, and what a full disk throws. Stops after a session that ended early. */
export async function calibrationSessions(
  context: CommandContext,
  what: readonly Chosen[],
  options: CalibrationOptions,
): Promise<Calibration> {
  const { runs, sessions, pause } = options;
  if (sessions > 1) await warnOfUnknownCommit(context);
  const history = options.history ?? historyFile(context.paths);
  const floors = new Map<string, NoiseFloor>();
  for (let session = 1; ; session += 1) {
    const last = await measure(context, what, {
      ...{ ...options, purpose: 'calibration', file: null },
      runs: 2 * runs * CALIBRATION_ROUNDS,
    });
    if (last.error !== null) return { rows: [], last, file: null };
    await appendSession(history, last.session);
    // Of several sessions the noisiest one counts: the next may be like it.
    for (const [key, one] of noiseFloors(last.session, runs)) {
      if (one.floor >= (floors.get(key)?.floor ?? 0)) floors.set(key, one);
    }
    const file = await keepNoiseFloors(context.paths, last.session.fingerprint, floors);
    if (session >= sessions) return { rows: await rowsOf(context, last, { floors, history, runs }), last, file };
    context.progress()({ kind: 'note', message: `Session ${session} of ${sessions} is done; ${pause} min pause.` });
    await sleep(pause * 60_000, undefined, { signal: context.interrupts() });
  }
}

/** Sessions are equal because one program made them, which its commit says. Told before an hour is spent. */
async function warnOfUnknownCommit(context: CommandContext): Promise<void> {
  const { commit } = await measuredCommit();
  if (commit !== null && !commit.dirty) return;
  const what = commit === null ? 'outside git' : 'from a tree with changes';
  const message = `This program was built ${what}, so nobody knows which sessions are of the same one: only the noise within sessions will be learned.`;
  context.progress()({ kind: 'note', message });
}

async function rowsOf(
  { paths }: CommandContext,
  { session }: Measured,
  { floors, history, runs }: { floors: ReadonlyMap<string, NoiseFloor>; history: string; runs: number },
): Promise<CalibrationRow[]> {
  const { sessionNoise } = await knownNoise(paths, session.fingerprint, await readHistory(history));
  return comparable(session).measurements.flatMap((one): CalibrationRow[] => {
    const benchmark = measurementKey(one);
    const floor = floors.get(benchmark);
    return floor === undefined ? [] : [{ benchmark, ...floor, sessions: sessionNoise(one, runs) }];
  });
}
