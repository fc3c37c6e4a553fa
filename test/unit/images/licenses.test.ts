/** Licences: Debian's copyright files read, and said in SPDX's words only where both mean the same. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Entry } from '../../../images/archive/entry.ts';
import { declaredLicenses } from '../../../images/debian/copyright.ts';
import { spdxExpression } from '../../../images/debian/spdx.ts';
import { isCopyright, packageLicenses } from '../../../images/licenses.ts';

const FORMAT = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';
const file = (...licenses: string[]): string =>
  `${FORMAT}${licenses.map((license) => `\nFiles: *\nCopyright: 2020 A\nLicense: ${license}\n`).join('')}`;

describe('a machine-readable copyright file', () => {
  it('declares the licences of its files, each once, and not those of stand-alone stanzas', () => {
    const text = `${file('GPL-2+', 'Expat\n Permission is\n .\n granted', 'GPL-2+')}\nLicense: MPL-2.0\n text\n`;
    expect(declaredLicenses(text)).toEqual(['Expat', 'GPL-2+']);
  });

  it('may leave a licence without a name', () => {
    expect(declaredLicenses(file('\n as is'))).toEqual(['unnamed']);
    expect(declaredLicenses(`${FORMAT}\nFiles: *\nCopyright: A\n`)).toEqual(['unnamed']);
  });

  it.each([
    ['prose', 'This is socat.\n\nIt is under the GPL.\n'],
    ['another version of the form', file('GPL-2').replace('/1.0/', '/2.0/')],
    ['a header alone', FORMAT],
    ['a stanza with a field twice', `${FORMAT}\nFiles: a\nFiles: b\nLicense: GPL-2\n`],
    ['nothing', ''],
  ])('is not %s', (_what, text) => {
    expect(declaredLicenses(text)).toBeNull();
  });

  it('is told from whatever else a file may hold', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string().map((text) => FORMAT + text),
        ),
        (text) => {
          const declared = declaredLicenses(text);
          if (declared !== null) expect(declared.length).toBeGreaterThan(0);
        },
      ),
    );
  });
});

describe('a licence in SPDX’s words', () => {
  test.each([
    ['GPL-2', 'GPL-2.0-only'],
    ['gpl-2.0.0+', 'GPL-2.0-or-later'],
    ['GPL-3.0-or-later', 'GPL-3.0-or-later'],
    ['LGPL-2.1+', 'LGPL-2.1-or-later'],
    ['GFDL-NIV-1.3+', 'GFDL-1.3-no-invariants-or-later'],
    ['Expat', 'MIT'],
    ['BSD-3-clause', 'BSD-3-Clause'],
    ['Apache-2', 'Apache-2.0'],
    ['CC0', 'CC0-1.0'],
    ['CC-BY-SA-4.0', 'CC-BY-SA-4.0'],
    ['LPPL-1.3c+', 'LPPL-1.3c+'],
    ['Zope-2.1', 'ZPL-2.1'],
    ['GPL-2 with Linux-syscall-note exception', 'GPL-2.0-only WITH Linux-syscall-note'],
    ['GPL-1+ or Artistic-2.0', 'Artistic-2.0 OR GPL-1.0-or-later'],
    ['ISC or Expat and Zlib', 'ISC OR (MIT AND Zlib)'],
    ['ISC or Expat, and Zlib', '(ISC OR MIT) AND Zlib'],
    ['ISC and Expat, or Zlib', '(ISC AND MIT) OR Zlib'],
    ['Apache-2.0 AND BSD-3-Clause', 'Apache-2.0 AND BSD-3-Clause'],
  ])('%s is %s', (name, id) => {
    expect(spdxExpression([name], 'src')).toBe(id);
  });

  test.each([
    ['GPL', 'LicenseRef-src-GPL'],
    ['GPL-4', 'LicenseRef-src-GPL-4'],
    ['GPL-NIV-2', 'LicenseRef-src-GPL-NIV-2'],
    ['Apache-2.0-only', 'LicenseRef-src-Apache-2.0-only'],
    ['MIT', 'LicenseRef-src-MIT'],
    ['Artistic', 'LicenseRef-src-Artistic'],
    ['Artistic-1', 'LicenseRef-src-Artistic-1'],
    ['BSD-3-clause~Google', 'LicenseRef-src-BSD-3-clause-Google'],
    ['public-domain', 'LicenseRef-src-public-domain'],
    ['constructor-1', 'LicenseRef-src-constructor-1'],
    ['GPL-2+ with OpenSSL exception', 'LicenseRef-src-GPL-2plus-with-OpenSSL-exception'],
    ['QEMU as a whole is under the GPL.', 'LicenseRef-src-QEMU-as-a-whole-is-under-the-GPL.'],
    ['GPL-2 or', 'LicenseRef-src-GPL-2-or'],
    ['GPL-2, Expat', 'LicenseRef-src-GPL-2-Expat'],
    ['GPL-2 with exception', 'LicenseRef-src-GPL-2-with-exception'],
  ])('%s is on no list that is sure to mean the same', (name, id) => {
    expect(spdxExpression([name], 'src')).toBe(id);
  });

  it('joins what a package declares: all of it counts, and nothing twice', () => {
    expect(spdxExpression(['Zlib', 'GPL-2+ and Expat', 'ISC or Zlib', 'Expat'], 'src')).toBe(
      'GPL-2.0-or-later AND (ISC OR Zlib) AND MIT AND Zlib',
    );
  });

  it('names the source package, where a name means something in its file alone', () => {
    expect(spdxExpression(['custom'], 'gtk+3.0')).toBe('LicenseRef-gtkplus3.0-custom');
  });

  const IDS = { ISC: 'ISC', Expat: 'MIT', Zlib: 'Zlib', 'GPL-2+': 'GPL-2.0-or-later', 'Apache-2': 'Apache-2.0' };
  const name = fc.constantFrom(...(Object.keys(IDS) as (keyof typeof IDS)[]));
  const chain = (word: string) => (parts: readonly string[]) => parts.join(` ${word} `);
  /** Debian's three strengths, from the strongest: and; or; a comma before either. */
  const ands = fc.array(name, { minLength: 1, maxLength: 3 }).map(chain('and'));
  const ors = fc.array(ands, { minLength: 1, maxLength: 3 }).map(chain('or'));
  const synopsis = fc
    .tuple(ors, fc.array(fc.tuple(fc.constantFrom('and', 'or'), ors), { maxLength: 2 }))
    .map(([first, more]) => ({ text: first + more.map(([word, one]) => `, ${word} ${one}`).join(''), first, more }));

  it('asks for the same as Debian’s expression, whichever licences one has', () => {
    fc.assert(
      fc.property(synopsis, fc.subarray(Object.keys(IDS) as (keyof typeof IDS)[]), ({ text, first, more }, held) => {
        const has = (one: string): boolean => held.includes(one as keyof typeof IDS);
        const meets = (part: string): boolean => part.split(' or ').some((one) => one.split(' and ').every(has));
        const wanted = more.reduce(
          (met, [word, part]) => (word === 'and' ? met && meets(part) : met || meets(part)),
          meets(first),
        );
        expect(evaluate(spdxExpression([text], 'src'), new Set(held.map((one) => IDS[one])))).toBe(wanted);
      }),
      { numRuns: 500 },
    );
  });

  it('is of SPDX’s form whatever the file says', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string({ unit: 'binary' }),
            synopsis.map(({ text }) => text),
          ),
          { minLength: 1 },
        ),
        (declared) => {
          expect(() => evaluate(spdxExpression(declared, 'src'), new Set())).not.toThrow();
        },
      ),
    );
  });
});

/** Reads an expression by SPDX's grammar (annex D): throws at what is none. */
function evaluate(expression: string, held: ReadonlySet<string>): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const term = (): boolean => {
    const token = tokens[at++] ?? '';
    if (token !== '(') {
      if (!/^[A-Za-z0-9.-]+\+?$/.test(token) || /^(AND|OR|WITH)$/.test(token)) throw new Error(`at ${token}`);
      return held.has(token);
    }
    const inner = or();
    if (tokens[at++] !== ')') throw new Error('not closed');
    return inner;
  };
  const chain = (word: string, next: () => boolean): boolean[] => {
    const all = [next()];
    for (; tokens[at] === word; all.push(next())) at += 1;
    return all;
  };
  const or = (): boolean => chain('OR', () => chain('AND', term).every(Boolean)).some(Boolean);
  const result = or();
  if (at !== tokens.length) throw new Error(`${expression} goes on at ${tokens[at]}`);
  return result;
}

describe('a package’s copyright file', () => {
  const entry = (path: string, text: string): [string, Entry] => [
    path,
    { path, mode: 0o644, uid: 0, gid: 0, type: 'file', content: Buffer.from(text) },
  ];
  const deb = (name: string) => ({ name, version: '1', file: '', bytes: 0 });

  it('is found through a link to the folder of another package', () => {
    const target = 'libfoo1';
    const link: Entry = { path: 'usr/share/doc/foo', mode: 0o777, uid: 0, gid: 0, type: 'symlink', target };
    const read = new Map([entry('usr/share/doc/libfoo1/copyright', file('ISC')), [link.path, link] as const]);
    const licenses = packageLicenses([deb('foo'), deb('libfoo1'), deb('bar')], read);
    expect([...licenses]).toEqual([
      ['foo 1', ['ISC']],
      ['libfoo1 1', ['ISC']],
    ]);
  });

  it('is read when it has a size that such files have', () => {
    expect(isCopyright('usr/share/doc/foo/copyright', 100_000)).toBe(true);
    expect(isCopyright('usr/share/doc/foo/copyright', 5_000_000)).toBe(false);
    expect(isCopyright('usr/share/doc/foo/README', 10)).toBe(false);
  });
});
