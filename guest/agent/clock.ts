/** Keeps the guest's wall clock in step with the host's (after sleep of the host, and against drift). */
import type { TimeResult } from '../protocol.ts';
import { type RunCommand, runOrThrow } from './command.ts';

/**
 * Smaller skews are left alone. The request's own way here looks like skew, and takes up to 150 ms in a busy emulated
 * guest: correcting that would make the clock jump back and forth, which programs such as make dislike.
 */
const ALLOWED_SKEW_MS = 250;
/** How close a correction comes. */
const CORRECTED_SKEW_MS = 50;
/** The first correction is late by the time that date(1) takes to start; the second one knows it. */
const MAX_ATTEMPTS = 3;
const SET_TIMEOUT_MS = 10_000;

export interface Clock {
  /** Wall clock, Unix ms. */
  now(): number;
  set(timeMs: number): Promise<void>;
}

/** The guest's own clock, set by coreutils' date: Node cannot set it. */
export function systemClock(run: RunCommand): Clock {
  return {
    now: Date.now,
    set: async (timeMs) => {
      await runOrThrow(run, ['/usr/bin/date', '--set', `@${(timeMs / 1000).toFixed(3)}`], SET_TIMEOUT_MS);
    },
  };
}

/** Compares with the host's time, as of now, and corrects more than {@link ALLOWED_SKEW_MS}. */
export async function keepTime(clock: Clock, hostTimeMs: number): Promise<TimeResult> {
  const arrived = performance.now();
  const skew = (): number => clock.now() - (hostTimeMs + performance.now() - arrived);
  const first = skew();
  if (Math.abs(first) <= ALLOWED_SKEW_MS) return { skewMs: Math.round(first), corrected: false };
  let lateMs = 0;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    if (Math.abs(skew()) <= CORRECTED_SKEW_MS) break;
    await clock.set(hostTimeMs + (performance.now() - arrived) + lateMs);
    lateMs -= skew();
  }
  return { skewMs: Math.round(first), corrected: true };
}
