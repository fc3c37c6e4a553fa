/** Each arm compared with itself, to learn how far equal things differ on this machine. */
import { measurementKey } from '../compare/comparable.ts';
import type { Session } from '../session.ts';
import { type CalibrationRound, noiseFloor } from '../statistics/noise-floor.ts';
import type { NoiseFloor } from './noise-floors.ts';

/** Three are the fewest that say anything; four make the greatest difference less of an accident. */
export const CALIBRATION_ROUNDS = 4;

/**
 * The floors of a session in which each arm was measured by itself. Its samples, in their order, are dealt to two sides as
 * ABBA, `runs` to each side in each round. An arm that broke, or has too few samples, has none.
 */
export function noiseFloors(session: Session, runs: number): Map<string, NoiseFloor> {
  const found = new Map<string, NoiseFloor>();
  for (const measurement of session.measurements) {
    const rounds = dealt(measurement.values, runs);
    const floor = noiseFloor(rounds);
    const broken = session.rejected.some((one) => measurementKey(one) === measurementKey(measurement));
    if (floor === null || broken) continue;
    found.set(measurementKey(measurement), { floor, rounds: rounds.length, runs, date: session.date });
  }
  return found;
}

/** Whole rounds only: a floor holds for comparisons with as many runs. */
function dealt(values: readonly number[], runs: number): CalibrationRound[] {
  const rounds = Math.floor(values.length / (2 * runs));
  return Array.from({ length: rounds }, (_, round) => {
    const own = values.slice(round * 2 * runs, (round + 1) * 2 * runs);
    // A B B A: of four in turn, the first and the last are one side's.
    const isFirst = (index: number): boolean => index % 4 === 0 || index % 4 === 3;
    return {
      first: own.filter((_value, index) => isFirst(index)),
      second: own.filter((_value, index) => !isFirst(index)),
    };
  });
}
