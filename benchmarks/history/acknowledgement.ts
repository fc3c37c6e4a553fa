/** What a user says of a change, held against the history before it becomes a line of it: lines stay. */
import { RosettaVmError } from '../../host/errors.ts';
import { suggestKey } from '../../host/spec/suggest.ts';
import { benchmarkName } from '../compare/comparable.ts';
import { armName } from '../session.ts';
import { type AckLine, ackReasonSchema, type ResultLine } from './format.ts';
import type { History } from './read.ts';

export type Acknowledgement = Omit<AckLine, 'format' | 'line' | 'date'>;

/**
 * The same with the names that the history has: `benchmark` may be `suite/benchmark`, as tables print it, and the dimensions
 * of `arm` may be in any order. Throws `E_NOT_FOUND` for what the session does not have, so that it would quiet nothing, and
 * `E_USAGE` for a reason that no line can hold.
 */
export function acknowledgement({ results }: History, asked: Acknowledgement): Acknowledgement {
  const { session } = asked;
  const reason = ackReasonSchema.safeParse(asked.reason);
  if (!reason.success) throw badReason(asked.reason);
  let left = results.filter((line) => line.session === session);
  if (left.length === 0) throw missing('session', session, [...new Set(results.map((line) => line.session))]);
  const narrow = (what: string, word: string, namesOf: (line: ResultLine) => readonly string[]): ResultLine => {
    const found = left.filter((line) => namesOf(line).includes(word));
    const [first] = found;
    if (first === undefined) throw missing(what, word, [...new Set(left.flatMap(namesOf))]);
    left = found;
    return first;
  };
  const own = { ...asked, reason: reason.data };
  if (own.suite !== undefined) narrow('suite', own.suite, ({ suite }) => [suite]);
  if (own.benchmark !== undefined) {
    const word = own.benchmark;
    const { suite, benchmark } = narrow('benchmark', word, (line) => [line.benchmark, benchmarkName(line)]);
    own.benchmark = benchmark;
    if (word !== benchmark) own.suite = suite;
  }
  if (own.arm !== undefined) {
    const sorted = own.arm.split(',').sort().join(',');
    own.arm = armName(narrow('arm', sorted, ({ arm }) => [armName(arm).split(',').sort().join(',')]).arm);
  }
  return own;
}

function missing(what: string, word: string, known: readonly string[]): RosettaVmError {
  const meant = suggestKey(word, known);
  const [subject, fix] =
    what === 'session'
      ? ['The history', '`bench history` names the session of each change.']
      : ['The session', `It has: ${known.join(', ')}.`];
  return new RosettaVmError('E_NOT_FOUND', {
    what: `${subject} has no ${what} ${JSON.stringify(word)}.`,
    why: 'Nothing would be quieter.',
    fix: meant === undefined ? fix : `Did you mean ${JSON.stringify(meant)}?`,
    facts: { [what]: word, suggestion: meant ?? null },
  });
}

const badReason = (reason: string): RosettaVmError =>
  new RosettaVmError('E_USAGE', {
    what: 'That is no reason.',
    why: reason.trim() === '' ? 'It is empty.' : `It has ${reason.trim().length} characters.`,
    fix: 'Say in 1 to 2,000 characters what people will want to know.',
    facts: { flag: '--reason' },
  });
