import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { readAptConfig } from '../../../images/debian/apt-config.ts';
import { openArchive } from '../../../images/debian/archive.ts';
import { dependencyClosure } from '../../../images/debian/closure.ts';
import { parseControl } from '../../../images/debian/control.ts';
import { loadArchiveKeys } from '../../../images/debian/keys.ts';
import { chooseMirrors } from '../../../images/debian/mirror.ts';
import { indexPackages } from '../../../images/debian/packages.ts';
import { formatAlternatives, parseRelations } from '../../../images/debian/relation.ts';
import { compareVersions, satisfiesVersion } from '../../../images/debian/version.ts';
import { serveArchive } from './support/archive.ts';

describe('versions', () => {
  it.each([
    ['1.0~rc1', '1.0'],
    ['1.0', '1.0-1'],
    ['1.0-1', '1.0-1+b1'],
    ['1.0-1+b1', '1.0-1+deb13u1'],
    ['1.9', '1.10'],
    ['9.9', '1:0.1'],
    ['1.0a', '1.0+'],
    ['20250101120000', '20250101120001'],
  ])('%s comes before %s', (earlier, later) => {
    expect(compareVersions(earlier, later)).toBeLessThan(0);
    expect(compareVersions(later, earlier)).toBeGreaterThan(0);
    expect(satisfiesVersion(later, '>>', earlier)).toBe(true);
  });

  it('are equal with leading zeros and an epoch of nought', () => {
    expect(compareVersions('0:1.01-01', '1.1-1')).toBe(0);
  });

  it('have one order', () => {
    const version = fc.stringMatching(/^[0-9][0-9a-z.+~]{0,8}(-[0-9a-z.+~]{1,4})?$/);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe('control data', () => {
  it('joins continuation lines and knows fields whatever their case', () => {
    const [one, two] = parseControl('Package: a\nDescription: short\n more\n .\n end\n\n# comment\nPACKAGE: b\n');

    expect(one?.get('description')).toBe('short\nmore\n\nend');
    expect(two?.get('package')).toBe('b');
  });

  it.each([[' first: continued'], ['no colon'], ['A: 1\nA: 2'], ['-a: 1']])('is refused: %j', (text) => {
    expect(() => parseControl(text)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });

  it('never fails in any other way, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseControl(text);
          parseRelations(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RosettaVmError);
        }
      }),
    );
  });

  it('has relations that are printed as they were read', () => {
    const field = 'libc6 (>= 2.34), awk | mawk (<< 2), python3:any';

    expect(parseRelations(field).map(formatAlternatives).join(', ')).toBe(field);
  });
});

describe('the closure', () => {
  const index = (...stanzas: string[]) =>
    indexPackages(
      Buffer.from(
        stanzas
          .map((one) => {
            const [head, ...fields] = one.split('; ');
            const [name, version] = head?.split(' ') ?? [];
            return `Package: ${name}\nVersion: ${version}\nArchitecture: arm64\nFilename: pool/${name}.deb\nSize: 1\nSHA256: ${'0'.repeat(64)}\n${fields.map((field) => `${field}\n`).join('')}`;
          })
          .join('\n'),
      ),
      'trixie',
    );
  const closure = (packages: string[], stanzas: string[], exclude: string[] = []): string[] =>
    dependencyClosure({
      indexes: new Map([['trixie', index(...stanzas)]]),
      architecture: 'arm64',
      packages,
      exclude: new Set(exclude),
    }).map(({ name, version }) => `${name} ${version}`);

  it('takes the newest version and what it depends on, in a circle too', () => {
    expect(closure(['a'], ['a 1', 'a 2; Depends: b', 'b 1; Pre-Depends: a (>= 2)', 'c 1'])).toEqual(['a 2', 'b 1']);
  });

  it('takes the alternative that is there already, else the first that exists', () => {
    const stanzas = ['a 1; Depends: none | b | c', 'b 1', 'c 1'];

    expect(closure(['a'], stanzas)).toEqual(['a 1', 'b 1']);
    expect(closure(['a', 'c'], stanzas)).toEqual(['a 1', 'c 1']);
  });

  it('follows what packages provide, versions minded', () => {
    expect(closure(['a'], ['a 1; Depends: virtual', 'b 1; Provides: virtual'])).toEqual(['a 1', 'b 1']);
    expect(() => closure(['a'], ['a 1; Depends: virtual (>= 2)', 'b 1; Provides: virtual'])).toThrow(/cannot be had/);
  });

  it('leaves out what is excluded, with what only that would need', () => {
    expect(closure(['a'], ['a 1; Depends: b', 'b 1; Depends: c', 'c 1'], ['b'])).toEqual(['a 1']);
  });

  it('says which package wants what is missing', () => {
    expect(() => closure(['a'], ['a 1; Depends: b', 'b 1; Depends: c (= 3)'])).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', facts: { chain: ['a', 'b', 'c (= 3)'] } }),
    );
  });

  it.each(['Filename: ../../a.deb', 'Filename: /a.deb', 'Filename: a.exe'])('refuses an entry with %s', (field) => {
    const text = `Package: a\nVersion: 1\nArchitecture: arm64\n${field}\nSize: 1\nSHA256: ${'0'.repeat(64)}\n`;
    expect(() => indexPackages(Buffer.from(text), 'trixie').named('a')).toThrow(
      expect.objectContaining({ code: 'E_INVALID' }),
    );
  });
});

describe('mirrors', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'rvm-apt-'));
    await mkdir(path.join(root, 'etc/apt/sources.list.d'), { recursive: true });
    await mkdir(path.join(root, 'etc/apt/apt.conf.d'), { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const put = (name: string, text: string): Promise<void> => writeFile(path.join(root, 'etc/apt', name), text);

  it('are the host’s own before the public one', async () => {
    await put('sources.list', 'deb [arch=amd64] http://one.example/debian/ trixie main # mine\n');
    await put(
      'sources.list.d/two.sources',
      'Types: deb\nURIs: http://two.example/debian\nSuites: sid\nComponents: main\n',
    );
    await put(
      'sources.list.d/off.sources',
      'Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: sid\nComponents: main\n',
    );
    await put('sources.list.d/ignored.bak', 'deb http://ignored.example/debian trixie main\n');
    const mirrors = chooseMirrors('trixie', undefined, await readAptConfig(root));

    expect(mirrors.map(({ origin }) => origin)).toEqual(['host', 'host', 'public']);
    expect(mirrors.slice(0, 2).map(({ url }) => url)).toEqual([
      'http://one.example/debian',
      'http://two.example/debian',
    ]);
  });

  it('are the one that was asked for and no other', async () => {
    const apt = await readAptConfig(root);

    expect(chooseMirrors('trixie', 'https://mirror.example/debian/', apt)).toEqual([
      { url: 'https://mirror.example/debian', origin: 'option' },
    ]);
    expect(() => chooseMirrors('trixie', 'file:///debian', apt)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  it('may be stale where the host’s apt is told so', async () => {
    expect((await readAptConfig(root)).checkValidUntil).toBe(true);
    await put('apt.conf.d/50frozen', '// a frozen mirror\nAcquire { Check-Valid-Until "false"; };\n');
    expect((await readAptConfig(root)).checkValidUntil).toBe(false);
  });
});

describe('signed indexes', () => {
  const open = async (changes: (text: string) => string, at?: number): Promise<unknown> => {
    const archive = await serveArchive({ trixie: { arm64: [{ name: 'a' }] } });
    let text = '';
    archive.fault('/dists/trixie/InRelease', (_, response, body) => {
      text = changes(body.toString());
      response.end(text);
    });
    // A minute on: the archive's key was made just now, and a signature must not be older than its key.
    const now = at ?? Math.max(Date.now(), Date.parse('2026-11-21T10:00:00Z')) / 1000 + 60;
    const options = { mirror: archive.url, keys: archive.keys, hostRoot: tmpdir(), downloads: tmpdir(), now };
    try {
      return await (await openArchive(options))('trixie').catch((error: unknown) => error);
    } finally {
      await archive.close();
    }
  };

  it('are taken as they are', async () => {
    expect(await open((text) => text)).toMatchObject({ name: 'trixie' });
  });

  it.each([
    ['a changed digest', (text: string) => text.replace(/ [0-9a-f]{64} /, ` ${'0'.repeat(64)} `)],
    ['no signature', (text: string) => text.slice(0, text.indexOf('-----BEGIN PGP SIGNATURE'))],
    ['nothing', () => ''],
  ])('are refused with %s', async (_, changes) => {
    expect(await open(changes)).toMatchObject({ code: 'E_VERIFY' });
  });

  it('are refused when they come from the future', async () => {
    expect(await open((text) => text, Date.parse('2026-11-19T00:00:00Z') / 1000)).toMatchObject({ code: 'E_VERIFY' });
  });

  it('can be checked with the keys that travel with the program', async () => {
    const keys = await loadArchiveKeys(path.join(tmpdir(), 'no-such-root'));

    await expect(
      keys.verifyClearSigned('no message', { url: 'http://mirror.example', suite: 'trixie', now: Date.now() / 1000 }),
    ).rejects.toMatchObject({ code: 'E_VERIFY' });
  });
});
