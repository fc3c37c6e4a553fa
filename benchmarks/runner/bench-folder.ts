/** Where sessions and noise floors are kept, below the folder of all state. */
import path from 'node:path';
import type { StatePaths } from '../../host/paths.ts';

const benchFolder = (paths: StatePaths): string => path.join(path.dirname(paths.machines), 'bench');

/** One file a session, `<id>.json`. */
export const sessionsFolder = (paths: StatePaths): string => path.join(benchFolder(paths), 'sessions');

/** The same of calibrations, apart so that none is ever the newest session to report on. */
export const calibrationSessionsFolder = (paths: StatePaths): string =>
  path.join(benchFolder(paths), 'calibration-sessions');

/** One file a fingerprint. */
export const calibrationsFolder = (paths: StatePaths): string => path.join(benchFolder(paths), 'calibration');

/** A line a benchmark, arm and session. */
export const historyFile = (paths: StatePaths): string => path.join(benchFolder(paths), 'history.jsonl');

/** Held while a session measures in the machine. */
export const lockFile = (paths: StatePaths, machine: string): string =>
  path.join(benchFolder(paths), `${machine}.lock`);
