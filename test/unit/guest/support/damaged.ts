import fc from 'fast-check';

/** Versions of `text` with some pieces overwritten, from the character at `begin` on. */
export function damaged(text: string, maxLength: number, begin = 0): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.integer({ min: begin, max: text.length - 1 }),
    length: fc.nat(9),
    text: fc.string({ maxLength: 9 }),
  });
  return fc
    .array(change, { minLength: 1, maxLength })
    .map((changes) =>
      changes.reduce((result, one) => result.slice(0, one.at) + one.text + result.slice(one.at + one.length), text),
    );
}
