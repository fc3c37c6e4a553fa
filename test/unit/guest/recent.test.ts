import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Recent } from '../../../guest/recent.ts';

describe('what was used recently', () => {
  const IDLE_MS = 1000;
  let gone: string[];
  let recent: Recent<string, string>;
  beforeEach(() => {
    vi.useFakeTimers();
    gone = [];
    recent = new Recent({ limit: 3, idleMs: IDLE_MS, onGone: (value, key) => void gone.push(`${key}=${value}`) });
  });
  afterEach(() => {
    recent.clear();
    vi.useRealTimers();
  });
  const use = (key: string, value = key.toUpperCase()): string => recent.use(key, () => value);

  it('is made once and then found', () => {
    expect([use('a'), use('a', 'another'), recent.size]).toEqual(['A', 'A', 1]);
  });

  it('stays, and what was not used for longest makes room', () => {
    for (const key of ['a', 'b', 'c', 'a', 'd']) use(key);
    expect(gone).toEqual(['b=B']);
    expect(recent.size).toBe(3);
  });

  it('goes when it is not used any more', () => {
    use('a');
    use('b');
    for (let step = 0; step < 4; step += 1) {
      vi.advanceTimersByTime(IDLE_MS / 2);
      use('b');
    }
    expect(gone).toEqual(['a=A']);
    vi.advanceTimersByTime(2 * IDLE_MS);
    expect(gone).toEqual(['a=A', 'b=B']);
  });

  it('goes once, when it is removed or all are', () => {
    use('a');
    use('b');
    recent.remove('a');
    recent.remove('a');
    recent.clear();
    expect([gone, recent.size, vi.getTimerCount()]).toEqual([['a=A', 'b=B'], 0, 0]);
  });
});
