/** Lists of source packages, as Debian's archive has them. */
import { describe, expect, test } from 'vitest';
import { upstreamArchive } from '../../../images/debian/sources.ts';

const digest = (digit: string): string => digit.repeat(64);

const stanza = (name: string, version: string, files: readonly string[], directory = `pool/main/h/${name}`): string =>
  [
    `Package: ${name}`,
    `Version: ${version}`,
    'Checksums-Sha256:',
    ...files.map((line) => ` ${line}`),
    `Directory: ${directory}`,
  ]
    .map((line) => `${line}\n`)
    .join('');

const archive = (version: string, digit: string, ending = 'gz'): string =>
  `${digest(digit)} 1000 hello_${version}.orig.tar.${ending}`;

const index = (...stanzas: readonly string[]): Buffer => Buffer.from(stanzas.join('\n'));

describe('the upstream archive of a source package', () => {
  test('is the newest version’s, wherever it stands', () => {
    const sources = index(
      stanza('hello', '2.9-1', [archive('2.9', '1')]),
      stanza('othello', '3.0-1', [archive('3.0', '3')]),
      stanza('hello', '2.10-5', [`${digest('4')} 10 hello_2.10-5.debian.tar.xz`, archive('2.10', '2')]),
    );
    expect(upstreamArchive(sources, 'hello', 'trixie')).toEqual({
      file: 'pool/main/h/hello/hello_2.10.orig.tar.gz',
      sha256: digest('2'),
      bytes: 1000,
    });
  });

  test('that is not there is told by name', () => {
    expect(() => upstreamArchive(index(stanza('othello', '1', [])), 'hello', 'trixie')).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', what: expect.stringContaining('hello') }),
    );
  });

  test.each([
    ['only a native archive', stanza('hello', '1', [`${digest('1')} 10 hello_1.tar.xz`])],
    ['a compression that nothing here reads', stanza('hello', '1', [archive('1', '1', 'bz2')])],
    ['a folder outside of the archive', stanza('hello', '1', [archive('1', '1')], 'pool/../../etc')],
    ['an absolute folder', stanza('hello', '1', [archive('1', '1')], '/etc')],
    ['a size of terabytes', stanza('hello', '1', [`${digest('1')} 99999999999 hello_1.orig.tar.gz`])],
  ])('%s cannot be used', (_why, text) => {
    expect(() => upstreamArchive(index(text), 'hello', 'trixie')).toThrow(
      expect.objectContaining({ code: 'E_INVALID' }),
    );
  });
});
