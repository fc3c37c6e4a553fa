import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../../benchmarks/demo/options.ts';

describe('options of the demo', () => {
  it('needs none', () => {
    expect(parseOptions([])).toMatchObject({ json: false, quick: false, runs: null, record: null, markdown: null });
  });

  it('takes a number of runs, and --quick for one', () => {
    expect(parseOptions(['--runs', '7']).runs).toBe(7);
    expect(parseOptions(['--quick'])).toMatchObject({ quick: true, runs: 1 });
  });

  it('refuses a number of runs that makes no sense', () => {
    for (const runs of ['0', '-1', '2.5', 'many', '51', '']) {
      expect(() => parseOptions([`--runs=${runs}`])).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    }
  });

  it('refuses what it does not know', () => {
    expect(() => parseOptions(['--fast'])).toThrow(/--fast/);
    expect(() => parseOptions(['fast'])).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
