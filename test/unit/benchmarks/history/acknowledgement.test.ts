/** What a user may say of a change, and what would only spoil the history. */
import { describe, expect, it } from 'vitest';
import { acknowledgement } from '../../../../benchmarks/history/acknowledgement.ts';
import { linesOf } from '../../../../benchmarks/history/append.ts';
import { printLine } from '../../../../benchmarks/history/format.ts';
import { type History, parseHistory } from '../../../../benchmarks/history/read.ts';
import { makeSession, NATIVE, WARM } from '../session-fixtures.ts';

const SESSION = 'the-session';
const history = (): Promise<History> =>
  parseHistory(
    linesOf(makeSession({ id: SESSION, arms: [WARM, NATIVE] }))
      .map(printLine)
      .join(''),
  );
const asked = { session: SESSION, reason: 'gcc 15' };

describe('an acknowledgement', () => {
  it('is kept as it was given', async () => {
    expect(acknowledgement(await history(), asked)).toEqual(asked);
    const narrow = { ...asked, suite: 'exec', benchmark: 'sh-true', arm: 'native' };
    expect(acknowledgement(await history(), narrow)).toEqual(narrow);
  });

  it('may name a benchmark and an arm as tables print them', async () => {
    const printed = { ...asked, benchmark: 'exec/sh-true', arm: 'translator=box64,cache=warm' };
    const kept = { suite: 'exec', benchmark: 'sh-true', arm: 'cache=warm,translator=box64' };
    expect(acknowledgement(await history(), printed)).toEqual({ ...asked, ...kept });
  });

  it.each([
    [{ session: 'the-sesion' }, 'session', SESSION],
    [{ suite: 'exek' }, 'suite', 'exec'],
    [{ benchmark: 'sh-tru' }, 'benchmark', 'sh-true'],
    [{ suite: 'compile', benchmark: 'exec/sh-true' }, 'benchmark', null],
    [{ arm: 'cache=warn,translator=box64' }, 'arm', 'cache=warm,translator=box64'],
  ])('of what the session does not have is refused: %j', async (wrong, what, suggestion) => {
    const past = await history();
    expect(() => acknowledgement(past, { ...asked, ...wrong })).toThrow(
      expect.objectContaining({
        code: 'E_NOT_FOUND',
        what: expect.stringContaining(`no ${what} `),
        facts: expect.objectContaining({ suggestion }),
      }),
    );
  });

  it.each(['', '   ', 'x'.repeat(2001)])('needs a reason that a line can hold', async (reason) => {
    const past = await history();
    expect(() => acknowledgement(past, { ...asked, reason })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
