import { describe, expect, it } from 'vitest';
import { mergeSamples, parseExport } from '../../../benchmarks/hyperfine.ts';

/** As hyperfine 1.19 writes it for one run. */
const exported = (seconds: number): string =>
  JSON.stringify({
    results: [
      {
        command: '/usr/sbin/chroot /data/roots/demo /usr/bin/perl',
        mean: seconds,
        stddev: null,
        median: seconds,
        user: seconds / 2,
        system: seconds / 4,
        min: seconds,
        max: seconds,
        times: [seconds],
        memory_usage_byte: [1048576],
        exit_codes: [0],
      },
    ],
  });

describe('results of hyperfine', () => {
  it('reads one run', () => {
    expect(parseExport(exported(1.5)).times).toEqual([1.5]);
  });

  it('refuses what hyperfine did not write, and shows how it begins', () => {
    for (const text of ['', 'not JSON', '{}', '{"results": []}', '{"results": [{"times": []}]}']) {
      expect(() => parseExport(text)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
    }
    expect(() => parseExport('Error: no such file')).toThrow(/Error: no such file/);
  });

  it('merges runs under hyperfine’s own names', () => {
    const merged = mergeSamples(
      [1, 4, 2].map((seconds) => parseExport(exported(seconds))),
      { mode: 'warm' },
    );
    expect(merged).toMatchObject({
      median: 2,
      min: 1,
      max: 4,
      times: [1, 4, 2],
      exit_codes: [0, 0, 0],
      memory_usage_byte: [1048576, 1048576, 1048576],
      parameters: { mode: 'warm' },
    });
    expect(merged.mean).toBeCloseTo(7 / 3);
    expect(merged.user).toBeCloseTo(7 / 6);
    expect(merged.stddev).toBeCloseTo(1.528, 3);
  });

  it('puts a name where the command stood, as hyperfine’s -n does, and keeps the command', () => {
    const { command, parameters } = mergeSamples([parseExport(exported(1))], { mode: 'warm' }, 'perl warm');
    expect({ command, parameters }).toEqual({
      command: 'perl warm',
      parameters: { mode: 'warm', command: '/usr/sbin/chroot /data/roots/demo /usr/bin/perl' },
    });
  });

  it('gives a single run no deviation, as hyperfine does', () => {
    expect(mergeSamples([parseExport(exported(1))], {}).stddev).toBeNull();
  });
});
