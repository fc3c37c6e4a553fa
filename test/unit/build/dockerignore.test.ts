/** `.dockerignore` against the cases that Docker documents and that moby/patternmatcher's own tests fix. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IgnoreRules, type MatchState, NO_RULES, parseDockerignore } from '../../../host/build/dockerignore.ts';
import { RosettaVmError } from '../../../host/errors.ts';

/** As the walk asks: from the top, each folder's state handed down. */
function excludes(rules: IgnoreRules, file: string): boolean {
  let state: MatchState | undefined;
  let excluded = false;
  const parts = file.split('/');
  for (const depth of parts.keys()) {
    const match = rules.match(parts.slice(0, depth + 1).join('/'), state);
    state = match.state;
    excluded = match.excluded;
  }
  return excluded;
}

const check = (text: string, file: string): boolean => excludes(parseDockerignore(text), file);

describe('one pattern', () => {
  test.each([
    // From Docker's documentation of the file.
    ['*/temp*', 'somedir/temporary.txt', true],
    ['*/temp*', 'somedir/temp', true],
    ['*/temp*', 'temporary.txt', false],
    ['*/*/temp*', 'somedir/subdir/temporary.txt', true],
    ['temp?', 'tempa', true],
    ['temp?', 'temp', false],
    ['**/*.go', 'main.go', true],
    ['**/*.go', 'a/b/main.go', true],
    ['/foo/bar', 'foo/bar', true],
    ['foo/bar', 'foo/bar/baz', true],
    ['foo/bar/', 'foo/bar', true],
    // patternmatcher's table.
    ['**', 'file', true],
    ['**/', 'dir/file', true],
    ['**/**', 'dir/file', true],
    ['dir/**', 'dir', false],
    ['dir/**', 'dir/dir2/file', true],
    ['**/dir', 'dir/file', true],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/**', 'dir/dir2/dir3/file', true],
    ['**file', 'dir/dir/file', true],
    ['**/file*txt', 'dir/dir/file.txt', true],
    ['**/**/*.txt2', 'dir/dir/file.txt', false],
    ['**/**/*.txt', 'file.txt', true],
    ['a**/*.txt', 'a/dir/dir/file.txt', true],
    ['a/*.txt', 'a/dir/file.txt', false],
    ['a/*.txt**', 'a/file.txt', true],
    ['a[b-d]e', 'ace', true],
    ['a[b-d]e', 'aae', false],
    ['a[^b-d]e', 'aze', true],
    ['.*', '.foo', true],
    ['.*', 'foo', false],
    ['abc.def', 'abcZdef', false],
    ['abc?def', 'abcZdef', true],
    ['a\\\\', 'a\\', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['**/foo/bar', 'foo/bar', true],
    ['**/foo/bar', 'dir/dir2/foo/bar', true],
    ['**/.foo', 'bar.foo', false],
    ['a(b)c/def', 'a(b)c/def', true],
    ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
    ['dist/*.whl', 'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl', true],
    ['foo/../bar', 'bar', true],
    ['./foo', 'foo', true],
    ['?', '😀', true],
    ['.', 'file', false],
  ])('%j against %j: %s', (pattern, file, expected) => {
    expect(check(pattern, file)).toBe(expected);
  });
});

describe('several patterns', () => {
  test('the last one that fits counts', () => {
    const before = '*.md\n!README*.md\nREADME-secret.md';
    expect(check(before, 'README.md')).toBe(false);
    expect(check(before, 'README-secret.md')).toBe(true);
    const after = '*.md\nREADME-secret.md\n!README*.md';
    expect(check(after, 'README-secret.md')).toBe(false);
  });

  test('an exception brings back what lies in an excluded folder', () => {
    expect(check('docs\n!docs/keep', 'docs/keep/file')).toBe(false);
    expect(check('docs\n!docs/keep', 'docs/other')).toBe(true);
    expect(check('*\n!src', 'src/main.c')).toBe(false);
  });

  test('comments, blank lines, spaces around and a byte order mark mean nothing', () => {
    const rules = parseDockerignore('\ufeff# comment\n\n  a  \r\n !  b \n   \n#c');
    expect(rules.patterns).toEqual(['a', '!b']);
  });

  test('a number sign after a space is a pattern', () => {
    expect(parseDockerignore(' #a').patterns).toEqual(['#a']);
  });

  test('an excluded folder is entered only when an exception may lie below it', () => {
    expect(parseDockerignore('a').mayKeepBelow('a')).toBe(false);
    expect(parseDockerignore('a\n!b/c').mayKeepBelow('a')).toBe(false);
    expect(parseDockerignore('a\n!a/b/c').mayKeepBelow('a')).toBe(true);
    expect(parseDockerignore('a\n!a/b/c').mayKeepBelow('a/x')).toBe(false);
    expect(parseDockerignore('a\n!**/c').mayKeepBelow('a')).toBe(true);
  });
});

describe('patterns that cannot be used', () => {
  test.each(['!', 'a[', 'a[]', 'a[b-]', 'a\\', '[-x]'])('%j is refused, with its line', (pattern) => {
    expect(() => parseDockerignore(`ok\n${pattern}`)).toThrow(
      expect.objectContaining({ code: 'E_INVALID', facts: expect.objectContaining({ line: 2 }) }),
    );
  });
});

describe('for every file', () => {
  const name = fc.stringMatching(/^[a-z]{1,3}$/);
  const file = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const line = fc.oneof(
    file,
    file.map((one) => `!${one}`),
    fc.constantFrom('*', '**/a', 'a*', '!**/b', '*/*', '# c', ''),
  );

  test('a plain pattern excludes itself and what lies below, nothing else', () => {
    fc.assert(
      fc.property(file, file, (pattern, candidate) => {
        expect(check(pattern, candidate)).toBe(candidate === pattern || candidate.startsWith(`${pattern}/`));
      }),
    );
  });

  test('slashes around a pattern change nothing', () => {
    fc.assert(
      fc.property(fc.array(file, { maxLength: 4 }), file, (patterns, candidate) => {
        expect(check(patterns.map((one) => `/${one}/`).join('\n'), candidate)).toBe(
          check(patterns.join('\n'), candidate),
        );
      }),
    );
  });

  test('a last exception for everything keeps everything', () => {
    fc.assert(
      fc.property(fc.array(line), file, (lines, candidate) => {
        expect(check([...lines, '!**'].join('\n'), candidate)).toBe(false);
      }),
    );
  });

  test('a folder that the walk skips has nothing that would be kept', () => {
    fc.assert(
      fc.property(fc.array(line), file, name, (lines, folder, child) => {
        const rules = parseDockerignore(lines.join('\n'));
        fc.pre(excludes(rules, folder) && !rules.mayKeepBelow(folder));
        expect(excludes(rules, `${folder}/${child}`)).toBe(true);
      }),
    );
  });

  test('any text is read or refused with its reason, in bounded time', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab*?[]^-\\!/.\n #(){}$|+'), maxLength: 40 }), (text) => {
        try {
          excludes(parseDockerignore(text), 'a/b/aab');
        } catch (error) {
          expect(error).toBeInstanceOf(RosettaVmError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('no rules exclude nothing', () => {
  expect(excludes(NO_RULES, 'a/b')).toBe(false);
});
