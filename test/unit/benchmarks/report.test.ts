import { describe, expect, it } from 'vitest';
import { formatGoal, formatValue, renderMarkdown, renderReport } from '../../../benchmarks/report.ts';
import { record } from './samples.ts';

describe('the report', () => {
  const text = renderReport(record());
  const row = (title: string) => text.split('\n').find((line) => line.startsWith(title)) ?? '';

  it('shows times, ratios and the cache’s content of a workload in one row', () => {
    expect(row('gcc -O2 -c, 10 lines').split(/ {2,}/)).toEqual([
      'gcc -O2 -c, 10 lines',
      '18.3 s',
      '20.0 s',
      '6.50 s',
      '26.0 s',
      '2.81×',
      '4.00×',
      '9 files, 21 MiB',
    ]);
  });

  it('shows the steps of the Docker build side by side', () => {
    expect(row('RUN ./configure').split(/ {2,}/)).toEqual([
      ...['RUN ./configure', '30.0 s', '32.0 s', '12.0 s', '48.0 s', '2.50×', '4.00×', '12.6 s', '18.0 s'],
    ]);
    expect(row('RUN make, 4 files').split(/ {2,}/)).toEqual([
      ...['RUN make, 4 files', '66.0 s', '-', '33.0 s', '-', '2.00×', '-', '-', '-'],
    ]);
    expect(row('RUN make check')).toBe('');
  });

  it('has no table of a build in a record of a version that built nothing', () => {
    const { build: _, ...older } = record();
    expect(renderReport(older)).not.toContain('docker build  ');
    expect(renderMarkdown(older)).not.toContain('| docker build |');
  });

  it('leaves a dash where nothing was measured', () => {
    expect(row('perl -e').split(/ {2,}/)).toEqual(['perl -e', '1.40 s', '-', '0.70 s', '-', '2.00×', '-', '-']);
    expect(row('python3 -c')).toMatch(/-( +-)+$/);
  });

  it('says which translator ran and whether that was proved', () => {
    expect(text).toContain('box64 0.4.3 (proved by running an x86_64 program)');
    const unproved = record();
    const translators = unproved.translators.map((one) => ({ ...one, proved: false }));
    expect(renderReport({ ...unproved, translators })).toContain('box64 0.4.3 (not proved)');
  });

  it('says of every promised number whether it is met', () => {
    expect(row('gcc, 10 lines: warm against no cache')).toMatch(/2\.81× +≥ 2\.5× +met$/);
    expect(row('python3 start')).toMatch(/- +≥ 3× +NOT MET$/);
    expect(row('gcc, 448 lines')).toMatch(/- +none$/);
    expect(row('resident memory')).toMatch(/70\.0 MB +< 90 MB +met$/);
  });

  it('names every sample that does not count', () => {
    expect(text).toContain('Not counted: gcc-lz, warm: The run made something else than the first one.');
  });

  it('says how often each mode was timed', () => {
    expect(text).toContain('perl -e: 1 no-cache, 1 warm');
  });

  it('makes Markdown tables with as many cells in every row', () => {
    const tables = renderMarkdown(record())
      .split('\n\n')
      .filter((part) => part.startsWith('|'));
    expect(tables).toHaveLength(3);
    for (const table of tables) {
      const widths = table.split('\n').map((line) => line.split('|').length);
      expect(new Set(widths).size).toBe(1);
    }
  });

  it('writes values with three digits or so, and their unit', () => {
    expect(formatValue(0.611, 's')).toBe('0.61 s');
    expect(formatValue(2.805, '×')).toBe('2.81×');
    expect(formatValue(18.26, 's')).toBe('18.3 s');
    expect(formatValue(null, 'MB')).toBe('-');
    expect(formatGoal({ kind: 'below', value: 1.5 }, 's')).toBe('< 1.5 s');
  });
});
