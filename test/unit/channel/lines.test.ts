import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../host/channel/lines.ts';
import { chunks } from './chunks.ts';

test('finds the same lines however the bytes are cut', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(fc.array(line), line, fc.array(fc.nat(30)), (lines, rest, cuts) => {
      const splitter = new LineSplitter(400, 'test');
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join('') + rest);
      expect(chunks(bytes, cuts).flatMap((chunk) => splitter.push(chunk))).toEqual(lines);
      expect(splitter.rest.toString('utf8')).toBe(rest);
    }),
  );
});

test('takes the carriage return off', () => {
  expect(new LineSplitter(10, 'test').push(Buffer.from('a\r\n\r\n'))).toEqual(['a', '']);
});

test('ends at a line that is too long, whether its end has come or not', () => {
  for (const text of ['12345\n', '12345']) {
    expect(() => new LineSplitter(4, 'A speaker').push(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'E_PROTOCOL', facts: { source: 'A speaker', limit: 4 } }),
    );
  }
  expect(new LineSplitter(4, 'test').push(Buffer.from('1234\n'))).toEqual(['1234']);
});
