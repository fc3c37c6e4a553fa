/** Waiting with an end. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a promise, but not longer than this; what it settles to is not told. Rejects when it does in time. */
export async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  try {
    await Promise.race([promise, sleep(ms, undefined, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
