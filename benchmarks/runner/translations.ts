/** What was translated for a sample: programs that were started, and what they read from and wrote to the cache. */
import type { TranslatorName } from '../../guest/protocol.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { Arm, Counts } from '../session.ts';
import type { Bench } from './benchmark-runner.ts';

type Guest = Pick<Bench, 'agent' | 'signal'>;

/** Unix ms, the guest's clock. */
export interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/**
 * Counts while `run` runs, which says when that was. Nothing of it is known of a native arm. Throws `E_VERIFY` when every
 * program ran in another translator than the arm's: the router keeps from one what it cannot run.
 */
export async function countTranslations<T>(
  guest: Guest,
  { native, dimensions }: Arm,
  run: () => Promise<T>,
  spanOf: (result: T) => Span,
): Promise<{ readonly result: T; readonly counts: Counts }> {
  if (native) return { result: await run(), counts: {} };
  const cached = dimensions.cache !== 'off';
  const [before, held] = [await execs(guest), cached ? await entries(guest) : 0];
  const result = await run();
  const after = await execs(guest);
  const ran = before === null || after === null ? null : startsBetween(before, after);
  const translator = dimensions.translator as TranslatorName;
  if (ran !== null && ran.size > 0 && !ran.has(translator)) throw elsewhere(translator, [...ran.keys()]);
  const counted = ran === null ? {} : { execs: [...ran.values()].reduce((sum, starts) => sum + starts, 0) };
  if (!cached) return { result, counts: counted };
  const { newEntries, reusedEntries } = await guest.agent.cacheActivity(spanOf(result), { signal: guest.signal });
  // One start in four of a program saves again what it has read (guest/router/router.c, is_settled). Which one that is must
  // not matter: such an entry was read, and only one that there was not before was written.
  const written = Math.min(newEntries, Math.max(0, (await entries(guest)) - held));
  const read = reusedEntries + newEntries - written;
  return { result, counts: { ...counted, cacheEntriesRead: read, cacheEntriesWritten: written } };
}

/** In the cache of the translator that programs run in. */
async function entries({ agent, signal }: Guest): Promise<number> {
  return (await agent.cacheStats({ signal })).entries;
}

type Starts = ReadonlyMap<TranslatorName, number>;

/** Programs that the router has started so far, by translator; null where nobody counts. */
async function execs({ agent, signal }: Guest): Promise<Starts | null> {
  const { counted, translators } = await agent.execCounts({ signal });
  return counted ? new Map(translators.map(({ name, execs: starts }) => [name, starts])) : null;
}

/** Those that started any. */
function startsBetween(before: Starts, after: Starts): Starts {
  const rows = [...after].map(([name, starts]) => [name, starts - (before.get(name) ?? 0)] as const);
  return new Map(rows.filter(([, starts]) => starts > 0));
}

function elsewhere(translator: TranslatorName, ran: readonly TranslatorName[]): RosettaVmError {
  return new RosettaVmError('E_VERIFY', {
    what: `Nothing of it ran in ${translator}.`,
    why: `The router gave its programs to ${ran.join(' and ')}: ${translator} cannot run them, or they are denied to it.`,
    fix: 'Measure it with that translator (--matrix translator=…); `rosetta-vm cache deny list` shows what is denied.',
    facts: { translator, ran },
  });
}
