import fc from 'fast-check';
import { expect, test } from 'vitest';
import { suggestKey } from '../../../host/spec/suggest.ts';

const KEYS = ['cpus', 'memory', 'disk', 'image', 'translator', 'cache', 'shares', 'qemu'];

test.each([
  ['memry', 'memory'],
  ['Memory', 'memory'],
  ['cpu', 'cpus'],
  ['csche', 'cache'],
  ['dsik', 'disk'],
  ['transaltor', 'translator'],
])('%s is near %s', (word, meant) => {
  expect(suggestKey(word, KEYS)).toBe(meant);
});

test.each(['network', 'x', ''])('%j is near nothing', (word) => {
  expect(suggestKey(word, KEYS)).toBeUndefined();
});

test('a known word is its own suggestion, and what is suggested is known', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (word) => {
      expect(suggestKey(word, [...KEYS, word])).toBe([...KEYS].find((key) => key === word.toLowerCase()) ?? word);
      const found = suggestKey(word, KEYS);
      expect(found === undefined || KEYS.includes(found)).toBe(true);
    }),
  );
});
