/** Keeps the guest's clock in step: a guest does not notice that the host slept (design: on wake and every 10 s). */
import type { AgentClient } from '../channel/agent-client.ts';
import type { Driver } from '../drivers/driver.ts';

const INTERVAL_MS = 10_000;
/** Between two looks at the host's clock, ms: a gap that is much longer means that the host slept. */
const TICK_MS = 1_000;
const WAKE_GAP_MS = 5_000;

export interface TimeKeeper {
  stop(): void;
}

export interface TimeOptions {
  readonly now?: () => number;
  /** Where the host tells of its wake, that is sooner than the next tick. */
  readonly watchWake?: Driver['watchWake'] | undefined;
}

/**
 * Pushes the host's time until stopped. A guest that does not answer is asked again, for ever; after a sleep, every
 * second until it has the time. Every push is a connection of its own, so none that a sleep broke stands in the way.
 */
export function keepTime(agent: Pick<AgentClient, 'time'>, options: TimeOptions = {}): TimeKeeper {
  const { now = Date.now, watchWake } = options;
  let lastTick = now();
  let lastPush = 0;
  let current: AbortController | null = null;
  /** The host slept and the guest does not know yet. */
  let owed = false;

  const push = async (): Promise<void> => {
    const mine = new AbortController();
    current = mine;
    lastPush = now();
    try {
      await agent.time({ timeMs: now() }, { signal: mine.signal });
      if (current === mine) owed = false;
    } catch {
      // It is asked again: at the next tick when it is owed, else at the next turn.
    } finally {
      if (current === mine) current = null;
    }
  };
  const woke = (): void => {
    owed = true;
    // What waits for an answer since before the sleep would wait for its whole time limit.
    current?.abort();
    void push();
  };
  const timer = setInterval(() => {
    const tick = now();
    const slept = Math.abs(tick - lastTick) > WAKE_GAP_MS;
    lastTick = tick;
    if (slept) woke();
    else if (current === null && (owed || tick - lastPush >= INTERVAL_MS)) void push();
  }, TICK_MS);
  const watch = watchWake?.(woke).catch(complain);
  return {
    stop: () => {
      clearInterval(timer);
      current?.abort();
      void watch?.then((open) => open?.close());
    },
  };
}

/** A host that cannot tell of its wake is no reason to go without a clock: the ticks notice it, a second later. */
function complain(error: unknown): null {
  process.stderr.write(`The host’s wake cannot be watched: ${String(error)}\n`);
  return null;
}
