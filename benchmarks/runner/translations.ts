/** What was translated for a sample: programs that were started, and what they read from and wrote to the cache. */
import type { Arm, Counts } from '../session.ts';
import type { Bench } from './benchmark-runner.ts';

type Guest = Pick<Bench, 'agent' | 'signal'>;

/** Unix ms, the guest's clock. */
export interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Counts while `run` runs, which says when that was. Nothing of it is known of a native arm. */
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
  const counted = before === null || after === null ? {} : { execs: Math.max(0, after - before) };
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

/** Programs that the router has started so far; null where nobody counts. */
async function execs({ agent, signal }: Guest): Promise<number | null> {
  const { counted, translators } = await agent.execCounts({ signal });
  return counted ? translators.reduce((sum, one) => sum + one.execs, 0) : null;
}
