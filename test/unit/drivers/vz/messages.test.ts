import { closeSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { VzLine } from '../../../../host/drivers/vz/addon.ts';
import { MAX_LINE_BYTES, readLines } from '../../../../host/drivers/vz/lines.ts';
import { parseHostReport, parseLine, thrownFailure } from '../../../../host/drivers/vz/messages.ts';
import { Fifos } from '../../../stand-in/descriptors.ts';
import { thrown, vzFailure } from '../../../stand-in/vz-failures.ts';
import { macReport } from '../../../stand-in/vz-reports.ts';
import { chunks } from '../../channel/chunks.ts';

const failure = fc.record({
  domain: fc.constantFrom('VZErrorDomain', 'NSPOSIXErrorDomain', 'NSException', 'x'),
  code: fc.integer(),
  message: fc.string(),
  reason: fc.string(),
  subject: fc.constantFrom('', 'disks[0]', 'rosetta'),
});

const line: fc.Arbitrary<VzLine> = fc.oneof(
  fc.record({ id: fc.nat(), ok: fc.constant(true as const), value: fc.constant(null) }),
  fc.record({
    id: fc.nat(),
    ok: fc.constant(true as const),
    value: fc.record({ connection: fc.nat(), fd: fc.nat(65_535) }),
  }),
  fc.record({ id: fc.nat(), ok: fc.constant(false as const), error: failure }),
  fc.record({ event: fc.constant('state' as const), state: fc.constantFrom('running' as const, 'error' as const) }),
  fc.record({ event: fc.constant('stopped' as const), error: fc.option(failure) }),
  fc.record({
    event: fc.constant('disk' as const),
    disk: fc.nat(9),
    kind: fc.constantFrom('connected' as const, 'error' as const),
    error: fc.option(failure),
  }),
  fc.record({ event: fc.constant('network' as const), error: failure }),
  fc.record({ event: fc.constant('wake' as const) }),
);

const fifos = new Fifos();
afterAll(() => fifos.remove());

/** A channel with what its reader hears of it. */
function channel() {
  const { reader, writer } = fifos.pair();
  const heard: VzLine[] = [];
  let done = (_: Error | null): void => {};
  const ended = new Promise<Error | null>((resolve) => {
    done = resolve;
  });
  const lines = readLines(reader, { line: (line) => heard.push(line), end: (error) => done(error) });
  return { writer, heard, ended, lines };
}

test('hears the same lines however the bytes are cut, and the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 20 }), fc.array(fc.nat(90), { maxLength: 20 }), async (sent, cuts) => {
      const { writer, heard, ended } = channel();
      const bytes = Buffer.from(sent.map((one) => `${JSON.stringify(one)}\n`).join(''));
      for (const chunk of chunks(bytes, cuts)) {
        writeSync(writer, chunk);
        await new Promise(setImmediate);
      }
      closeSync(writer);
      expect(await ended).toBeNull();
      expect(heard).toEqual(sent);
    }),
    { numRuns: 40 },
  );
});

test('an event of a later version is passed over, and what a known one has besides is left out', () => {
  expect(parseLine('{"event":"thermal","level":3}')).toBeNull();
  expect(parseLine('{"event":"state","state":"paused","since":3}')).toEqual({ event: 'state', state: 'paused' });
});

test.each([
  ['no JSON', 'hello'],
  ['no object', '[1]'],
  ['neither reply nor event', '{}'],
  ['an event without a name', '{"event":3}'],
  ['a state that there is not', '{"event":"state","state":"flying"}'],
  ['a reply without an outcome', '{"id":1}'],
  ['a failed reply without its error', '{"id":1,"ok":false}'],
  ['a descriptor that is none', '{"id":1,"ok":true,"value":{"connection":1,"fd":-1}}'],
  ['a number that is no id', '{"id":1.5,"ok":true,"value":null}'],
])('a line that is %s ends the channel, and what follows is not heard', async (_what, text) => {
  const { writer, heard, ended } = channel();
  writeSync(writer, `{"event":"wake"}\n${text}\n{"event":"wake"}\n`);
  expect(await ended).toMatchObject({ code: 'E_PROTOCOL' });
  expect(heard).toEqual([{ event: 'wake' }]);
  closeSync(writer);
});

test('a line that does not end ends the channel', async () => {
  const { writer, ended } = channel();
  // A pipe holds 64 KiB: the reader has to take the first part.
  writeSync(writer, 'x'.repeat(MAX_LINE_BYTES / 2));
  await new Promise((resolve) => setImmediate(resolve));
  const rest = 'x'.repeat(1024);
  for (let sent = 0; sent <= MAX_LINE_BYTES / 2 + 1024; sent += rest.length) {
    try {
      writeSync(writer, rest);
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(EAGAIN|EPIPE)$/) });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await ended).toMatchObject({ code: 'E_PROTOCOL', facts: { limit: MAX_LINE_BYTES } });
  closeSync(writer);
});

test('whatever bytes come, the reader says lines and then one end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const { writer, ended } = channel();
      writeSync(writer, bytes);
      closeSync(writer);
      const error = await ended;
      if (error !== null) expect(error).toMatchObject({ code: 'E_PROTOCOL' });
    }),
    { numRuns: 50 },
  );
});

test('a descriptor that cannot be read ends at once, and so does a closed reader', async () => {
  const bad = await new Promise<Error | null>((resolve) => {
    readLines(1_000_000, { line: () => {}, end: resolve });
  });
  expect(bad).toBeInstanceOf(Error);
  const { writer, ended, lines } = channel();
  lines.close();
  expect(await ended).toBeNull();
  closeSync(writer);
});

describe('the report on a Mac', () => {
  test('is taken as it is, without what a later addon adds', () => {
    expect(parseHostReport(JSON.stringify({ ...macReport(), chip: 'M9' }))).toEqual(macReport());
  });

  test.each([
    '',
    'null',
    '{}',
    JSON.stringify({ ...macReport(), cpus: { minimum: 1 } }),
    JSON.stringify({ ...macReport(), architecture: 'ppc' }),
  ])('is refused when it is %j', (text) => {
    expect(() => parseHostReport(text)).toThrow(expect.objectContaining({ code: 'E_PROTOCOL' }));
  });
});

test('the failure of what the addon throws is found, and anything else is none', () => {
  const failure = vzFailure(5, 'Invalid disk image.', 'disks[0]');
  expect(thrownFailure(thrown(failure))).toEqual(failure);
  for (const other of [null, 'x', new Error('x'), Object.assign(new Error('x'), { failure: '{' }), { failure: '{}' }]) {
    expect(thrownFailure(other)).toBeNull();
  }
});
