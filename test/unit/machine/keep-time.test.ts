import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepTime } from '../../../host/machine/keep-time.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function agent(fail = false) {
  const pushed: number[] = [];
  return {
    pushed,
    time: async ({ timeMs }: { readonly timeMs: number }) => {
      pushed.push(timeMs);
      if (fail) throw new Error('unreachable');
      return { skewMs: 0, corrected: false };
    },
  };
}

test('the time is pushed at once and then every ten seconds', async () => {
  const guest = agent();
  const keeper = keepTime(guest);
  await vi.advanceTimersByTimeAsync(35_500);
  expect(guest.pushed).toHaveLength(4);
  keeper.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(guest.pushed).toHaveLength(4);
});

test('a guest that does not answer is asked again, for ever', async () => {
  const guest = agent(true);
  const keeper = keepTime(guest);
  await vi.advanceTimersByTimeAsync(60_500);
  expect(guest.pushed.length).toBeGreaterThanOrEqual(6);
  keeper.stop();
});

test('after a sleep of the host the time is pushed without waiting for the next turn', async () => {
  const guest = agent();
  let asleepMs = 0;
  const keeper = keepTime(guest, () => Date.now() + asleepMs);
  await vi.advanceTimersByTimeAsync(1_500);
  expect(guest.pushed).toHaveLength(1);
  asleepMs = 3_600_000;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(guest.pushed).toHaveLength(2);
  expect((guest.pushed[1] ?? 0) - (guest.pushed[0] ?? 0)).toBeGreaterThan(3_600_000);
  keeper.stop();
});
