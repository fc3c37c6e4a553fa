import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { isNbdUrl, type NbdAddress, nbdHref, parseNbdUrl } from '../../../host/spec/nbd-url.ts';

test.each<[string, NbdAddress]>([
  ['nbd://host', { server: { type: 'inet', host: 'host', port: 10809 }, export: '' }],
  ['nbd://10.0.0.1:1234/data', { server: { type: 'inet', host: '10.0.0.1', port: 1234 }, export: 'data' }],
  ['nbd://[::1]/disk%201', { server: { type: 'inet', host: '::1', port: 10809 }, export: 'disk 1' }],
  ['nbd://host//a/b', { server: { type: 'inet', host: 'host', port: 10809 }, export: '/a/b' }],
  ['nbd+unix:///e?socket=/run/a,b', { server: { type: 'unix', path: '/run/a,b' }, export: 'e' }],
  ['nbd+unix:///?socket=/run/a%20b+c', { server: { type: 'unix', path: '/run/a b+c' }, export: '' }],
])('%s', (url, address) => {
  expect(isNbdUrl(url)).toBe(true);
  expect(parseNbdUrl(url)).toEqual(address);
});

describe('an address that not both drivers understand', () => {
  test.each([
    '',
    'nbd:x',
    'nbd:///export',
    'nbd://host:99999/export',
    'nbd://host:0/export',
    'nbd://host/%zz',
    'nbd://host/%00',
    'nbd://host/x#y',
    'nbd://host/x?socket=/s',
    `nbd://host/${'x'.repeat(5000)}`,
    'nbd+unix:///export',
    'nbd+unix:///export?socket=relative',
    'nbd+unix:///export?socket=/s&tls-psk-file=/p',
    'nbd+unix://host/export?socket=/s',
    `nbd+unix:///export?socket=/${'x'.repeat(110)}`,
    'http://host/export',
    '/dev/sdb',
  ])('%j is refused', (url) => {
    expect(refused(url)).toMatchObject({ code: 'E_INVALID', fix: expect.stringContaining('nbd+unix:///') });
  });

  test('TLS is refused by name', () => {
    expect(refused('nbds://host/x').why).toContain('TLS');
    expect(refused('nbds+unix:///x?socket=/s').why).toContain('TLS');
  });

  test.each(['nbd://user:secret@host/x', 'nbd://secret@host/x', 'nbd:user:secret@host', 'nbd://u:se/cret@host/x'])(
    '%s has a user, and no message repeats it',
    (url) => {
      const { message, facts } = refused(url);
      expect(`${message} ${JSON.stringify(facts)}`).not.toMatch(/secret|cret/);
    },
  );
});

test('what is written by its parts is read back, whatever they are', () => {
  const isControl = (character: string): boolean => character < ' ' || character === '\u007f';
  const name = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => ![...text].some(isControl));
  const plain = name.filter((text) => !/^\.{1,2}$|\/\.{1,2}(\/|$)/.test(text));
  fc.assert(
    fc.property(plain, fc.integer({ min: 1, max: 65_535 }), name, (exported, port, path) => {
      const socket = `/${[...path].slice(0, 20).join('')}`;
      const tcp = parseNbdUrl(`nbd://h:${port}/${encodeURIComponent(exported)}`);
      expect(tcp).toEqual({ server: { type: 'inet', host: 'h', port }, export: exported });
      const unix = parseNbdUrl(`nbd+unix:///${encodeURIComponent(exported)}?socket=${encodeURIComponent(socket)}`);
      expect(unix).toEqual({ server: { type: 'unix', path: socket }, export: exported });
    }),
  );
});

test('any text is an address or an error in three parts', () => {
  const near = fc
    .tuple(fc.constantFrom('nbd://', 'nbd+unix://', 'nbd:', ''), fc.string())
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(near, (text) => {
      try {
        parseNbdUrl(text);
      } catch (error) {
        expect(error).toBeInstanceOf(RosettaVmError);
        const { what, why, fix } = error as RosettaVmError;
        expect([what, why, fix]).not.toContain('');
      }
    }),
  );
});

test('whatever is taken can be written as RFC 3986 has it, and means the same', () => {
  const part = fc.string({
    unit: fc.oneof(fc.constantFrom(...' []{}|\\^`"<>é界+'), fc.string({ minLength: 1, maxLength: 1 })),
  });
  const text = fc.oneof(
    fc.tuple(part).map(([name]) => `nbd://[::1]:1/${name}`),
    fc.tuple(part, part).map(([host, name]) => `nbd://${host}/${name}`),
    fc.tuple(part, part).map(([name, path]) => `nbd+unix:///${name}?socket=/${path}`),
  );
  let taken = 0;
  fc.assert(
    fc.property(text, (url) => {
      const address = addressOf(url);
      if (address === null) return;
      taken += 1;
      expect(nbdHref(url)).toMatch(
        /^nbd(\+unix)?:\/\/(\[[0-9a-f:]+\](:\d+)?|[\w\-.~:!$&'()*+,;=%]*)[\w\-.~:/?@!$&'()*+,;=%]*$/,
      );
      expect(parseNbdUrl(nbdHref(url))).toEqual(address);
    }),
  );
  expect(taken).toBeGreaterThan(10);
});

function addressOf(url: string): NbdAddress | null {
  try {
    return parseNbdUrl(url);
  } catch {
    return null;
  }
}

function refused(url: string): RosettaVmError {
  try {
    parseNbdUrl(url);
  } catch (error) {
    if (error instanceof RosettaVmError) return error;
    throw error;
  }
  throw new Error('the address was accepted');
}
