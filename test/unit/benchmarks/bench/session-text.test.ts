import { expect, test } from 'vitest';
import { renderSession } from '../../../../benchmarks/bench/session-text.ts';
import { makeSession, NATIVE, OFF, WARM } from '../session-fixtures.ts';

test('the table of a session ends with what the cache gives in the mean', () => {
  const session = makeSession({ arms: [OFF, WARM, NATIVE] });
  const text = renderSession({ session, comparison: null, history: null, noiseFloor: () => null });
  const rows = text.trimEnd().split('\n');
  expect(rows.at(-1)).toMatch(/^geometric mean +cache warm against cache off +6 benchmarks +1\.\d\d×$/);
  expect(rows.filter((row) => / faster$/.test(row))).toHaveLength(6);
});

test('a row that is undecided says how many runs are missing', () => {
  const wild = makeSession({ arms: [OFF, WARM], runs: 5, noise: 0.6, benchmarks: ['exec/sh-true'] });
  const text = renderSession({ session: wild, comparison: null, history: null, noiseFloor: () => null });
  expect(text).toMatch(/ inconclusive, \d+ more runs?$/m);
});
