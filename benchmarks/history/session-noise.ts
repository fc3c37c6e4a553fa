/** How far sessions of one commit differ, learned from a history: those that were calibrated for it, and all others. */
import { type ComparableMeasurement, measurementKey } from '../compare/comparable.ts';
import { fingerprintDifferences, translatorDifferences } from '../compare/fingerprint.ts';
import type { Fingerprint } from '../session.ts';
import { median } from '../statistics/descriptive.ts';
import { type SessionNoise, sessionNoise } from '../statistics/session-noise.ts';
import type { PastSession } from './read.ts';

/**
 * Asked for a benchmark in an arm and the runs that are compared. A session's level is the median of so many of its first
 * values, so that the noise of such a median is in it. Null where fewer than three sessions of a commit were measured on
 * this machine.
 */
export function sessionNoiseOf(
  past: readonly PastSession[],
  fingerprint: Fingerprint,
): (one: ComparableMeasurement, runs: number) => SessionNoise | null {
  const sessions = past.filter(
    (one) =>
      one.state === 'complete' &&
      one.commit !== null &&
      !one.commit.dirty &&
      fingerprintDifferences(one.fingerprint, fingerprint).length === 0,
  );
  return (one, runs) => {
    const groups = new Map<string, number[]>();
    for (const session of sessions) {
      const level =
        translatorDifferences(session.fingerprint, fingerprint, one.arm).length === 0 && levelOf(session, one, runs);
      if (level === false || level === null) continue;
      const commit = session.commit?.id ?? '';
      groups.set(commit, [...(groups.get(commit) ?? []), level]);
    }
    return sessionNoise([...groups.values()]);
  };
}

/** Null when the session has no good value of it, or measured it as something else. */
function levelOf({ measurements }: PastSession, one: ComparableMeasurement, runs: number): number | null {
  const same = measurements.find((other) => measurementKey(other) === measurementKey(one));
  if (same === undefined || same.failed > 0 || same.unit !== one.unit || same.disk !== one.disk) return null;
  const values = same.values.slice(0, Math.max(1, runs));
  return values.length > 0 && values.every((value) => value > 0) ? median(values) : null;
}
