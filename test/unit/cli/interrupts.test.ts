import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Interrupts } from '../../../host/cli/interrupts.ts';

let told = '';
let interrupts: Interrupts;
beforeEach(() => {
  told = '';
  interrupts = new Interrupts((text) => {
    told += text;
  });
});
afterEach(() => {
  interrupts.release();
  vi.restoreAllMocks();
});

test('the first signal aborts, says how to end at once, and decides the exit status', () => {
  expect(interrupts.signal.aborted).toBe(false);
  process.emit('SIGINT', 'SIGINT');
  expect(interrupts.signal.aborted).toBe(true);
  expect(interrupts.status).toBe(130);
  expect(told).toContain('Ctrl-C again');
});

test('a second one ends the process there and then', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  process.emit('SIGTERM', 'SIGTERM');
  expect(exit).not.toHaveBeenCalled();
  process.emit('SIGINT', 'SIGINT');
  expect(exit).toHaveBeenCalledExactlyOnceWith(130);
});

test('once released it leaves signals to the system', () => {
  interrupts.release();
  expect(['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name))).toEqual([0, 0, 0]);
});
