/** What a build's explanation says: counted where it can be counted, and silent where not. */
import { describe, expect, test } from 'vitest';
import type { CacheActivity, ExecCounts } from '../../../guest/translation-protocol.ts';
import { StepObserver } from '../../../host/build/explain.ts';
import { renderExplanation } from '../../../host/cli/explain-text.ts';
import { step } from './messages.ts';

const counts = (box64: number, qemu = 0, counted = true): ExecCounts => {
  const reasons = { default: 0, libc: 0, isa: 0, layout: 0, deny: 0, environment: 0, failed: 0 };
  return {
    counted,
    translators: [
      { name: 'box64', execs: box64, reasons },
      { name: 'qemu', execs: qemu, reasons },
    ],
  };
};

const activity = (newEntries: number, reusedEntries: number): CacheActivity => ({
  backend: 'dynacache',
  state: 'on',
  sinceMs: 0,
  untilMs: 0,
  newEntries,
  newBytes: newEntries * 1024,
  reusedEntries,
  programs: [],
});

function guest(answers: readonly ExecCounts[], cache: CacheActivity = activity(1, 2)) {
  const left = [...answers];
  const spans: { sinceMs: number; untilMs: number }[] = [];
  return {
    spans,
    execCounts: async () => left.shift() ?? Promise.reject(new Error('no answer')),
    cacheActivity: async (span: { sinceMs: number; untilMs: number }) => {
      spans.push(span);
      return cache;
    },
  };
}

describe('a step', () => {
  test('has what was counted between its beginning and its end', async () => {
    const agent = guest([counts(10, 1), counts(15, 1)]);
    const observer = new StepObserver(agent);
    observer.take({ kind: 'started', step: step() });
    observer.take({ kind: 'completed', step: step() });
    expect(await observer.report([step()])).toMatchObject([
      {
        ms: 2000,
        translators: [{ name: 'box64', execs: 5 }],
        cache: { newEntries: 1, newBytes: 1024, reusedEntries: 2 },
        overlaps: [],
      },
    ]);
    expect(agent.spans).toEqual([{ sinceMs: 1000, untilMs: 3000 }]);
  });

  test('that is cached or runs nothing asks for nothing', async () => {
    const agent = guest([]);
    const observer = new StepObserver(agent);
    for (const one of [step({ cached: true }), step({ runs: false })]) {
      observer.take({ kind: 'started', step: one });
      observer.take({ kind: 'completed', step: one });
    }
    expect(agent.spans).toEqual([]);
    expect(await observer.report([step({ cached: true })])).toMatchObject([{ ms: 0, translators: null, cache: null }]);
  });

  test('of a machine that cannot count is not guessed, and never fails the build', async () => {
    for (const answers of [[counts(0, 0, false), counts(0, 0, false)], []]) {
      const observer = new StepObserver(guest(answers));
      observer.take({ kind: 'started', step: step() });
      observer.take({ kind: 'completed', step: step() });
      expect(await observer.report([step()])).toMatchObject([{ translators: null }]);
    }
  });

  test('that ran beside another one names it', async () => {
    const other = step({ digest: 'o', number: 6, startedMs: 2999, completedMs: 5000 });
    const after = step({ digest: 'a', number: 7, startedMs: 5000, completedMs: 6000 });
    const report = await new StepObserver(guest([])).report([step(), other, after]);
    expect(report.map(({ overlaps }) => overlaps)).toEqual([[6], [5], []]);
  });
});

test('the table leaves BuildKit’s own steps out and says which rows cannot be told apart', () => {
  const row = { ms: 1500, cached: false, failed: false, translators: null, cache: null, overlaps: [] };
  const text = renderExplanation([
    { ...row, number: 1, name: '[internal] load .dockerignore' },
    { ...row, number: 2, name: '[2/3] RUN a', translators: [{ name: 'box64', execs: 5 }], overlaps: [3] },
    { ...row, number: 3, name: '[3/3] RUN b', cached: true, overlaps: [2] },
  ]);
  expect(text).not.toContain('internal');
  expect(text).toContain('box64 (5×)');
  expect(text).toContain('Steps 2, 3 ran at the same time');
});
