import { describe, expect, it } from 'vitest';
import { comparable } from '../../../../benchmarks/compare/comparable.ts';
import {
  formatChange,
  formatFactor,
  formatP,
  formatQuantity,
  formatSpread,
} from '../../../../benchmarks/compare/format.ts';
import { COMMENT_MARKER, renderPullRequest } from '../../../../benchmarks/compare/pull-request.ts';
import { compareSessions, type Gate } from '../../../../benchmarks/compare/sessions.ts';
import { renderComparison } from '../../../../benchmarks/compare/text.ts';
import type { Session } from '../../../../benchmarks/session.ts';
import { PLAIN } from '../../../../host/cli/style.ts';
import { fingerprint, makeSession, OFF, WARM } from '../session-fixtures.ts';

const base = makeSession({ id: 'base', seed: 7 });
const change = makeSession({
  id: 'change',
  seed: 8,
  factor: (name, arm) => (name === 'compile/gcc-hello' && arm === WARM ? 1.12 : 1),
});
const compare = (to: Session, from = base) => compareSessions(comparable(from), comparable(to));

describe('a comparison in text', () => {
  const text = renderComparison(compare(change));

  it('has a row for each benchmark and arm, and the counts in one sentence', () => {
    expect(text.split('\n').filter((line) => line.startsWith('exec/perl-start '))).toHaveLength(4);
    expect(text).toMatch(/compile\/gcc-hello +cache=warm,translator=box64 .* slower\n/);
    expect(text).toMatch(/54 counts without a change/);
  });

  it('explains what is worse, and ends with the verdict', () => {
    expect(text).toMatch(/compile\/gcc-hello cache=warm,translator=box64: The time changed by \+1\d %/);
    expect(text.trimEnd().split('\n').at(-1)).toBe(
      'Regression by time and counts (time: regression; counts: no regression)',
    );
  });

  it('says when counts decide nothing because there are none, which is no defect of what was measured', () => {
    const uncounted = (seed: number) =>
      comparable(makeSession({ id: `s${seed}`, seed, noise: 0.002, counts: () => ({}) }));
    const of = (gate: Gate) => compareSessions(uncounted(1), uncounted(2), { gate });
    const lastLine = (gate: Gate) => renderComparison(of(gate)).trimEnd().split('\n').at(-1);
    expect(lastLine('counts')).toBe('Nothing was counted by counts (time: no regression)');
    expect(lastLine('time')).toBe('No regression by time (counts: nothing was counted)');
    expect(of('counts').outcome).toBe('broken');
    expect(renderPullRequest(of('counts'))).toContain('Benchmarks: nothing was counted');
  });

  it('points to the machine when work without a translator changed alike', () => {
    const hint = /gcc-hello cache=warm.* look at the machine before the code\./;
    const all = makeSession({ seed: 8, factor: (name) => (name === 'compile/gcc-hello' ? 1.12 : 1) });
    expect(renderComparison(compare(all), PLAIN, Number.POSITIVE_INFINITY)).toMatch(hint);
    expect(renderPullRequest(compare(all))).toContain('look at the machine before the code');
    expect(renderComparison(compare(all), PLAIN, Number.POSITIVE_INFINITY)).toContain('(Native work changed by +1');
    // Held back, so it decides nothing; but a change that was found is not folded away.
    expect(compare(all).outcome).toBe('inconclusive');
    expect(renderPullRequest(compare(all))).not.toContain('Nothing changed that is proved');
    expect(renderComparison(compare(change), PLAIN, Number.POSITIVE_INFINITY)).not.toMatch(/look at the machine/);
  });

  it('says how many runs are missing, in the cell and in words', () => {
    const few = (seed: number) => makeSession({ id: `few${seed}`, seed, runs: 5 });
    const text = renderComparison(compare(few(2), few(1)), PLAIN, Number.POSITIVE_INFINITY);
    // 24 rows need eight runs each: 2/C(16, 8) is below 0.01/24.
    expect(text).toMatch(/ inconclusive, 3 more runs$/m);
    expect(text).toMatch(/^ {2}2\d rows: 5 and 5 runs are too few to tell anything: each side needs 8 at least\.$/m);
    expect(text.match(/too few to tell/g)).toHaveLength(1);
    expect(renderPullRequest(compare(few(2), few(1)))).toContain('**inconclusive, 3 more runs**');
  });

  it('says in what machines differ', () => {
    const other = makeSession({}, { fingerprint: { ...fingerprint, disk: 'virtio' } });
    expect(renderComparison(compare(other))).toContain('Not comparable as a whole:\n  disk: nvme, virtio\n');
  });
});

describe('a comment on a pull request', () => {
  it('shows what changed first and folds the rest', () => {
    const text = renderPullRequest(compare(change));
    expect(text.startsWith(`${COMMENT_MARKER}\n`)).toBe(true);
    expect(text.indexOf('**slower**')).toBeLessThan(text.indexOf('<details>'));
    expect(text).toMatch(/<summary>23 rows without a proved change<\/summary>/);
    expect(text.match(/<details>/g)?.length).toBe(text.match(/<\/details>/g)?.length);
  });

  it('lets nothing out of a benchmark’s name', () => {
    const name = 'build/RUN echo "|</details><img src=x> @team [a](https://example.org) `x`';
    const one = makeSession({ benchmarks: [name], arms: [OFF], seed: 3 });
    const slow = makeSession({ benchmarks: [name], arms: [OFF], seed: 4, factor: () => 2 });
    const text = renderPullRequest(compare(slow, one));
    expect(text).not.toMatch(/<img|@team|[^\\]\]\(|https:\/\//);
    expect(text.match(/<\/details>/g)?.length).toBe(text.match(/<details>/g)?.length);
  });

  it('stays below what a comment may have', () => {
    const names = Array.from({ length: 600 }, (_, index) => `suite/${'long'.repeat(30)}-${index}`);
    const one = makeSession({ benchmarks: names, arms: [OFF], runs: 5 });
    const slow = makeSession({ benchmarks: names, arms: [OFF], runs: 5 }, { fingerprint: { ...fingerprint, cpus: 8 } });
    const text = renderPullRequest(compare(slow, one));
    expect(text.length).toBeLessThan(65_536);
    expect(/^… and 2300 more$/m.test(text)).toBe(true);
    expect(text.length).toBeGreaterThan(10_000);
  });
});

describe('numbers', () => {
  it('have three digits that count', () => {
    expect([0.0123, 0.5, 3.974, 48.21, 170.24].map((value) => formatQuantity(value, 'seconds'))).toEqual([
      '12.3 ms',
      '500 ms',
      '3.97 s',
      '48.2 s',
      '170 s',
    ]);
    expect(formatQuantity(3 * 2 ** 20, 'bytes-per-second')).toBe('3 MiB/s');
    expect(formatQuantity(7, 'count')).toBe('7');
    expect(formatQuantity(0, 'seconds')).toBe('0 ms');
  });

  it('tell changes with their sign, and factors of costs as gains', () => {
    expect([1.052, 0.36, 1, 1.0001, null].map(formatChange)).toEqual(['+5.2 %', '−64 %', '±0.0 %', '±0.0 %', '-']);
    expect(formatFactor(0.356)).toBe('2.81×');
    expect(formatP(0.00001)).toBe('< 0.0001');
  });

  it('tell no spread where there is none', () => {
    expect(formatSpread({ runs: 1, median: 2, mad: 0 })).toBe('');
    expect(formatSpread({ runs: 5, median: 2, mad: 0.03 })).toBe('±1.5 %');
    expect(formatSpread(null)).toBe('');
  });
});
