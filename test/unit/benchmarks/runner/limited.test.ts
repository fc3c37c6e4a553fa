import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { limited } from '../../../../benchmarks/runner/limited.ts';

const never = (signal: AbortSignal): Promise<void> => sleep(60_000, undefined, { signal });

describe('work with a limit', () => {
  test('that ends in time is what it is', async () => {
    await expect(limited('Work', 60, new AbortController().signal, async () => 7)).resolves.toBe(7);
  });

  test('that does not is a timeout, whatever it says of its end', async () => {
    await expect(limited('Work', 0.01, new AbortController().signal, never)).rejects.toMatchObject({
      code: 'E_TIMEOUT',
      what: 'Work did not end.',
    });
  });

  test('that the user stops is stopped, not failed', async () => {
    const user = new AbortController();
    const work = limited('Work', 60, user.signal, never);
    user.abort();
    await expect(work).rejects.toMatchObject({ code: 'E_ABORTED' });
  });

  test('that fails by itself keeps its failure', async () => {
    const failing = limited('Work', 60, new AbortController().signal, () => Promise.reject(new Error('broken pipe')));
    await expect(failing).rejects.toThrow('broken pipe');
  });
});
