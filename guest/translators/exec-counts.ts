/** Reads the page in which the router counts (guest/router/counters.h): 64-bit numbers, eight for each translator. */
import { readFile } from 'node:fs/promises';
import { CHOICE_REASONS, type ChoiceReason, type ExecCounts, type TranslatorName } from '../protocol.ts';
import { COUNTER_ROWS } from './router-table.ts';

export const COUNTER_BYTES = 4096;
const COUNTERS_PER_ROW = 8;

/** Counts of `names`, in their order. A page that is not there counts nothing: programs may write to it, or cut it. */
export async function readExecCounts(file: string, names: readonly TranslatorName[]): Promise<ExecCounts> {
  const bytes = await readFile(file).catch(() => Buffer.alloc(0));
  if (bytes.length < COUNTER_BYTES) return { counted: false, translators: [] };
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
