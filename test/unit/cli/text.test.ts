import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderError } from '../../../host/cli/error-text.ts';
import { count, formatAge, formatDuration, shellQuote } from '../../../host/cli/format.ts';
import { describeCache, describeTranslator } from '../../../host/cli/status-text.ts';
import { PLAIN, type Style } from '../../../host/cli/style.ts';
import { printable, renderFields, renderTable, wrap } from '../../../host/cli/table.ts';
import { asRosettaVmError, RosettaVmError } from '../../../host/errors.ts';
import { runProgram } from './command-line.ts';
import { HEALTH } from './stand-in.ts';

describe('tables', () => {
  test('columns line up, numbers to the right, nothing trails', () => {
    const table = renderTable(
      [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'NOTE' }],
      [
        ['a', '1 KiB', ''],
        ['longer-name', '12 MiB', 'x'],
      ],
    );
    expect(table).toBe('NAME           SIZE  NOTE\na             1 KiB\nlonger-name  12 MiB  x\n');
  });

  test('colour does not move a column', () => {
    const green = (text: string): string => `<${text}>`;
    const table = renderTable([{ title: 'A', paint: green }, { title: 'B' }], [['run', '1']]);
    expect(table).toBe('A    B\n<run>  1\n');
  });

  test('no cell can drive the terminal or break a row', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (cell) => {
        const table = renderTable([{ title: 'X' }, { title: 'Y' }], [[cell, 'end']]);
        expect(table.split('\n')).toHaveLength(3);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not come through
        expect(table.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
    expect(printable('a\tb\u001b[2J\u009b')).toBe('a b\\x1b[2J\\x9b');
  });

  test('wrapped text keeps its words and fits, unless a word does not', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(words, fc.integer({ min: 20, max: 60 }), fc.nat(5), (given, width, indent) => {
        const lines = wrap(given.join(' '), width, indent).split('\n');
        expect(lines.join(' ').split(/ +/)).toEqual(given);
        for (const line of lines.slice(1)) expect(line.length).toBeLessThanOrEqual(width);
      }),
    );
  });

  test('fields line up, and later lines of a value under its first', () => {
    expect(
      renderFields([
        ['a', '1\n2'],
        ['long', '3'],
      ]),
    ).toBe('  a     1\n        2\n  long  3\n');
  });
});

describe('quantities', () => {
  test.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [1000, '1.0 s'],
    [59_940, '59.9 s'],
    [59_960, '1 m'],
    [61_000, '1 m 1 s'],
    [3_600_000, '1 h'],
    [3_660_000, '1 h 1 m'],
    [90_000_000, '1 d 1 h'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('ages are one whole unit, and a future time is now', () => {
    const now = 1e12;
    expect([-5, 0, 59, 60, 3599, 3600, 86_399, 86_400, 1e7].map((s) => formatAge(now - s * 1000, now))).toEqual([
      '0s',
      '0s',
      '59s',
      '1m',
      '59m',
      '1h',
      '23h',
      '1d',
      '115d',
    ]);
  });

  test('one entry, two entries', () => {
    expect([count(1, 'entry', 'entries'), count(2, 'entry', 'entries'), count(0, 'file')]).toEqual([
      '1 entry',
      '2 entries',
      '0 files',
    ]);
  });
});

test('a quoted command line comes back from a shell word for word', async () => {
  const words = ['plain', 'two words', "it's", '"', '$HOME', 'a,b=c', '', '*', '\\', 'new\nline', 'é'];
  const { stdout } = await runProgram(['sh', '-c', `printf '%s\\0' ${shellQuote(words)}`], { home: '/' });
  expect(stdout.split('\0').slice(0, -1)).toEqual(words);
});

describe('errors', () => {
  const error = new RosettaVmError('E_STATE', { what: 'It runs.', why: 'one\ntwo', fix: 'Stop it.' });

  test('have three parts, with later lines under their part', () => {
    expect(renderError(error, PLAIN)).toBe('Error: It runs.\n  Why: one\n       two\n  Fix: Stop it.\n');
  });

  test('are broken at blanks to the width of the terminal', () => {
    const long = new RosettaVmError('E_STATE', { what: 'a '.repeat(30), why: 'b '.repeat(30), fix: 'x'.repeat(50) });
    for (const line of renderError(long, PLAIN, 40).split('\n')) {
      expect(line.length <= 40 || /^ {2}Fix: x+$/.test(line), line).toBe(true);
    }
  });

  test('are coloured where colours are', () => {
    const mark: Style = { ...PLAIN, red: (text) => `<${text}>`, dim: (text) => `(${text})` };
    expect(renderError(error, mark)).toMatch(/^<Error:> It runs\.\n {2}\(Why:\)/);
  });

  test('show where an unexpected one came from, and only then', () => {
    const surprise = new TypeError('x is not a function');
    expect(renderError(asRosettaVmError(surprise), PLAIN)).toMatch(/\n +at .+text\.test\.ts/);
    expect(renderError(asRosettaVmError(Object.assign(surprise, { code: 'ENOSPC' })), PLAIN)).not.toMatch(/\n +at /);
  });
});

describe('translator and cache in words', () => {
  const { translator } = HEALTH;
  const active = translator.active;

  test('proved, not proved, another than wanted, and none', () => {
    expect(describeTranslator(translator)).toBe('box64 0.4.3, proved by running an x86_64 program');
    expect(
      active && describeTranslator({ ...translator, active: { ...active, proved: false }, reason: 'exit 1' }),
    ).toBe('box64 0.4.3, not proved (exit 1)');
    expect(describeTranslator({ ...translator, wanted: 'rosetta' })).toContain('\nrosetta was asked for');
    expect(describeTranslator({ state: 'failed', wanted: 'box64', removedHandlers: [], reason: 'no share' })).toBe(
      'box64: failed (no share)',
    );
    expect(describeTranslator({ ...translator, removedHandlers: ['qemu-x86_64', 'x'] })).toContain(
      '\nremoved other handlers: qemu-x86_64, x',
    );
  });

  test('a guest cannot drive the terminal through them', () => {
    expect(
      describeTranslator({ state: 'failed', wanted: 'box64', removedHandlers: [], reason: '\u001b[2J' }),
    ).toContain('\\x1b[2J');
    expect(describeCache({ backend: 'dynacache', state: 'failed', reason: '\r' })).toContain('\\x0d');
  });
});
