import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAgentServer, linkServer } from '../../../guest/agent/server.ts';
import { agentClient } from '../../../host/channel/agent-client.ts';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { keepTime } from '../../../host/machine/keep-time.ts';
import { TOKEN } from '../guest/agent-harness.ts';
import { temporaryFolder } from './temporary.ts';

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
  const keeper = keepTime(guest, { now: () => Date.now() + asleepMs });
  await vi.advanceTimersByTimeAsync(1_500);
  expect(guest.pushed).toHaveLength(1);
  asleepMs = 3_600_000;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(guest.pushed).toHaveLength(2);
  expect((guest.pushed[1] ?? 0) - (guest.pushed[0] ?? 0)).toBeGreaterThan(3_600_000);
  keeper.stop();
});

test('the host’s word of its wake is heard at once, also while a push waits on a connection that the sleep broke', async () => {
  const signals: AbortSignal[] = [];
  const guest = {
    time: (_: unknown, { signal }: { readonly signal?: AbortSignal } = {}) =>
      new Promise<never>((_resolve, reject) => {
        if (signal === undefined) return;
        signals.push(signal);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  };
  let wake = (): void => {};
  let closed = false;
  const keeper = keepTime(guest, {
    watchWake: async (onWake) => {
      wake = onWake;
      return {
        close: () => {
          closed = true;
        },
      };
    },
  });
  await vi.advanceTimersByTimeAsync(1_100);
  expect(signals).toHaveLength(1);
  wake();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  keeper.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  expect(closed).toBe(true);
});

test('after a wake the guest is asked every second until it has the time, then every ten again', async () => {
  let answers = false;
  const pushed: number[] = [];
  const guest = {
    time: async ({ timeMs }: { readonly timeMs: number }) => {
      pushed.push(timeMs);
      if (!answers) throw new Error('unreachable');
      return { skewMs: 0, corrected: true };
    },
  };
  let wake = (): void => {};
  const keeper = keepTime(guest, {
    watchWake: async (onWake) => {
      wake = onWake;
      return { close: () => {} };
    },
  });
  await vi.advanceTimersByTimeAsync(1_500);
  expect(pushed).toHaveLength(1);
  wake();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(pushed).toHaveLength(7);
  answers = true;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(pushed).toHaveLength(8);
  await vi.advanceTimersByTimeAsync(9_000);
  expect(pushed).toHaveLength(8);
  keeper.stop();
});

test('the keeper survives an agent whose socket comes and goes, and a watch that cannot be had', async () => {
  vi.useRealTimers();
  const socket = path.join(await temporaryFolder(), 'agent.sock');
  const heard: number[] = [];
  let tick = (): void => {};
  const client = agentClient({ connect: () => connectUnix(socket), token: TOKEN });
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const keeper = keepTime(client, {
    watchWake: async (onWake) => {
      tick = onWake;
      return { close: () => {} };
    },
  });
  const blind = keepTime(client, { watchWake: () => Promise.reject(new Error('no power management')) });
  for (let round = 0; round < 5; round++) {
    const http = createAgentServer(TOKEN, {
      requests: {
        'POST /v1/time': () => {
          heard.push(round);
          return { skewMs: 0, corrected: false };
        },
      },
      upgrades: {},
    });
    const server = linkServer(http).listen(socket);
    await once(server, 'listening');
    tick();
    await expect.poll(() => heard.includes(round)).toBe(true);
    http.closeAllConnections();
    server.close();
    await once(server, 'close');
    await rm(socket, { force: true });
    // Nobody is there: this push fails, and the next round's must not suffer from it.
    tick();
  }
  keeper.stop();
  blind.stop();
  expect(stderr.mock.calls.flat().join('')).toContain('no power management');
  stderr.mockRestore();
});
