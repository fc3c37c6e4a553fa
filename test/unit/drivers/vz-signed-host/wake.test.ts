import { closeSync, fstatSync, writeSync } from 'node:fs';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { watchWake } from '../../../../host/drivers/vz/wake.ts';
import { Fifos } from '../../../stand-in/descriptors.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** An addon that opens a channel a watch; `fail` makes it refuse. */
function addon() {
  const fifos = new Fifos();
  onTestFinished(() => fifos.remove());
  const writers: number[] = [];
  return {
    writers,
    fail: false,
    watchWake() {
      if (this.fail) throw new Error('no power management');
      const { reader, writer } = fifos.pair();
      writers.push(writer);
      return { events: reader };
    },
  };
}

const WAKE = '{"event":"wake"}\n';

test('each wake is told, and what a newer addon may say besides is not', async () => {
  const source = addon();
  let woken = 0;
  const watch = watchWake(source, () => {
    woken += 1;
  });
  writeSync(source.writers[0] ?? -1, `${WAKE}{"event":"eclipse"}\n${WAKE}`);
  await expect.poll(() => woken).toBe(2);
  watch.close();
  closeSync(source.writers[0] ?? -1);
});

test('a channel that ends is opened again, for ever', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const source = addon();
  let woken = 0;
  const watch = watchWake(source, () => {
    woken += 1;
  });
  for (let round = 0; round < 3; round++) {
    source.fail = round === 1;
    closeSync(source.writers.at(-1) ?? -1);
    await untilTimer();
    // A refusal is only one more round of waiting.
    vi.advanceTimersByTime(30_000);
    source.fail = false;
    if (source.writers.length === round + 1) vi.advanceTimersByTime(30_000);
    expect(source.writers).toHaveLength(round + 2);
  }
  writeSync(source.writers.at(-1) ?? -1, WAKE);
  while (woken === 0) await turn();
  watch.close();
  await turn();
  vi.advanceTimersByTime(120_000);
  expect(source.writers).toHaveLength(4);
  closeSync(source.writers.at(-1) ?? -1);
});

test('a watch that cannot be had is an error of the caller’s', () => {
  const source = addon();
  source.fail = true;
  expect(() => watchWake(source, () => {})).toThrow('no power management');
});

test('closing the watch closes its descriptor', async () => {
  const source = addon();
  let descriptor = -1;
  const watch = watchWake(
    {
      watchWake: () => {
        const { events } = source.watchWake();
        descriptor = events;
        return { events };
      },
    },
    () => {},
  );
  watch.close();
  await expect.poll(() => isOpen(descriptor)).toBe(false);
  closeSync(source.writers[0] ?? -1);
});

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function untilTimer(): Promise<void> {
  while (vi.getTimerCount() === 0) await turn();
}
