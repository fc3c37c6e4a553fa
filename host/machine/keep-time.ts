/** Keeps the guest's clock in step: a guest does not notice that the host slept (design: on wake and every 10 s). */
import type { AgentClient } from '../channel/agent-client.ts';

const INTERVAL_MS = 10_000;
/** Between two looks at the host's clock, ms: a gap that is much longer means that the host slept. */
const TICK_MS = 1_000;
const WAKE_GAP_MS = 5_000;

export interface TimeKeeper {
  stop(): void;
}

/** Pushes the host's time until stopped. A guest that does not answer is asked again, for ever. */
export function keepTime(agent: Pick<AgentClient, 'time'>, now: () => number = Date.now): TimeKeeper {
  let lastTick = now();
  let lastPush = 0;
  let busy = false;
  const push = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    lastPush = now();
    await agent.time({ timeMs: now() }).catch(() => {});
    busy = false;
  };
  const timer = setInterval(() => {
    const tick = now();
    const woke = Math.abs(tick - lastTick) > WAKE_GAP_MS;
    lastTick = tick;
    if (woke || tick - lastPush >= INTERVAL_MS) void push();
  }, TICK_MS);
  return { stop: () => clearInterval(timer) };
}
