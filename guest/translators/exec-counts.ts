/** The file in which the router counts (guest/router/counters.h): 64-bit numbers, eight for each translator; programs. */
import { open, readFile } from 'node:fs/promises';
import { CHOICE_REASONS, type ChoiceReason, type ExecCounts, type TranslatorName } from '../protocol.ts';
import { COUNTER_ROWS } from './router-table.ts';

const EXEC_COUNTER_BYTES = 4096;
const PROGRAM_COUNTER_BYTES = 8192 * 8;
/** Size of the whole file, which is made of zeros. */
export const COUNTER_BYTES = EXEC_COUNTER_BYTES + PROGRAM_COUNTER_BYTES;
const COUNTERS_PER_ROW = 8;

/** Counts of `names`, in their order. A page that is not there counts nothing: programs may write to it, or cut it. */
export async function readExecCounts(file: string, names: readonly TranslatorName[]): Promise<ExecCounts> {
  const bytes = await readFile(file).catch(() => Buffer.alloc(0));
  if (bytes.length < EXEC_COUNTER_BYTES) return { counted: false, translators: [] };
  const count = (name: TranslatorName, reason: number): number =>
    Number(bytes.readBigUInt64LE((COUNTER_ROWS[name] * COUNTERS_PER_ROW + reason) * 8));
  return {
    counted: true,
    translators: names.map((name) => {
      const reasons = Object.fromEntries(CHOICE_REASONS.map((reason, i) => [reason, count(name, i)]));
      const execs = Object.values(reasons).reduce((sum, one) => sum + one, 0);
      return { name, execs, reasons: reasons as Record<ChoiceReason, number> };
    }),
  };
}

/**
 * Makes every program one that has not run yet, whose translations the next start keeps: the cache was emptied. In the
 * file as it is, because running programs have it mapped.
 */
export async function forgetPrograms(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.write(Buffer.alloc(PROGRAM_COUNTER_BYTES), 0, PROGRAM_COUNTER_BYTES, EXEC_COUNTER_BYTES);
  } finally {
    await handle.close();
  }
}
