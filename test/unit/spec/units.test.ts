import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { formatSize, GIB, MIB, parseDuration, parseSize } from '../../../host/spec/units.ts';

describe('sizes', () => {
  test.each([
    ['4', 4 * GIB],
    [4, 4 * GIB],
    [1.5, 1.5 * GIB],
    ['4GiB', 4 * GIB],
    ['4 gib', 4 * GIB],
    ['1.5g', 1.5 * GIB],
    ['4096M', 4 * GIB],
    ['512MiB', 512 * MIB],
    ['64k', 64 * 1024],
    ['1TiB', 1024 * GIB],
    ['123b', 123],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseSize(text, 'memory')).toBe(bytes);
  });

  test('a bare number that would be a pebibyte and more is bytes', () => {
    expect(parseSize(4 * GIB, 'memory')).toBe(4 * GIB);
    expect(parseSize(String(4 * GIB), 'memory')).toBe(4 * GIB);
  });

  test.each(['', '-1', '1x', '1e9', '0x10', '4 GiB extra', 'GiB', '٤', '1.2.3', '9'.repeat(17), '9999999999999999t'])(
    '%j is no size, and the error names the field',
    (text) => {
      const error = thrownBy(() => parseSize(text, 'memory'));
      expect(error.code).toBe('E_SIZE');
      expect(error.what).toContain('memory');
    },
  );

  test('any text is a size in whole bytes or an E_SIZE, and a size parses to itself', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^\d{1,20}(\.\d{1,8})?\s?[kmgtKMGTb]?i?b?$/));
    fc.assert(
      fc.property(text, (given) => {
        const bytes = sizeOrCode(given);
        if (bytes === 'E_SIZE') return;
        expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
        if (bytes >= MIB) expect(parseSize(bytes, 'x')).toBe(bytes);
      }),
    );
  });

  test('a formatted size reads back to within a tenth of its unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 16 * 1024 * GIB }), (bytes) => {
        const back = parseSize(formatSize(bytes), 'x');
        expect(Math.abs(back - bytes)).toBeLessThanOrEqual(bytes / 10);
      }),
    );
    expect(['0 B', '1023 B', '1 KiB', '1.5 MiB', '64 GiB']).toEqual(
      [0, 1023, 1024, 1.5 * MIB, 64 * GIB].map(formatSize),
    );
  });
});

describe('durations', () => {
  test.each([
    ['45s', 45],
    ['30m', 1800],
    ['12h', 43_200],
    ['7d', 604_800],
    ['2W', 1_209_600],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text, '--older-than')).toBe(seconds);
  });

  test.each(['', '5', '-1d', '1.5h', '1 day', 'd', '9999999d'])('%j is no duration', (text) => {
    expect(thrownBy(() => parseDuration(text, '--older-than')).code).toBe('E_USAGE');
  });
});

function sizeOrCode(text: string): number | 'E_SIZE' {
  try {
    return parseSize(text, 'x');
  } catch (error) {
    if (error instanceof RosettaVmError && error.code === 'E_SIZE') return 'E_SIZE';
    throw error;
  }
}

function thrownBy(run: () => unknown): RosettaVmError {
  try {
    run();
  } catch (error) {
    if (error instanceof RosettaVmError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
