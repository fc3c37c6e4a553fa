/** The file in which the router counts (guest/router/counters.h): 64-bit numbers, eight for each translator; programs. */
import { open, readFile, rm } from 'node:fs/promises';
import { writeWhole } from '../../host/files.ts';
import type { TranslatorName } from '../protocol.ts';
import { CHOICE_REASONS, type ChoiceReason, type ExecCounts } from '../translation-protocol.ts';
import { COUNTER_ROWS } from './router-table.ts';

const EXEC_COUNTER_BYTES = 4096;
const PROGRAM_COUNTER_BYTES = 8192 * 8;
/** Size of the whole file, which is made of zeros. */
export const COUNTER_BYTES = EXEC_COUNTER_BYTES + PROGRAM_COUNTER_BYTES;
const COUNTERS_PER_ROW = 8;
/** A program's tag, 0: none, and how often it was started: 32 bits each. */
const PROGRAM_BYTES = 8;

/** Counts of `names`, in their order. A page that is not there counts nothing: programs may write to it, or cut it. */
export async function readExecCounts(file: string, names: readonly TranslatorName[]): Promise<ExecCounts> {
  const bytes = await readCounters(file).catch(() => Buffer.alloc(0));
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

/** No more than the file should have: programs may have made it longer. */
async function readCounters(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(COUNTER_BYTES), 0, COUNTER_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/**
 * Keeps the programs' starts in the file `kept`, for {@link recallPrograms} after a reboot. They say what is in the cache
 * of `build`, a line of text that names the translators.
 */
export async function keepPrograms(file: string, kept: string, build: string): Promise<void> {
  const counters = await readCounters(file);
  if (counters.length < COUNTER_BYTES) return;
  await writeWhole(kept, Buffer.concat([Buffer.from(`${build}\n`), counters.subarray(EXEC_COUNTER_BYTES)]), 0o600);
}

/**
 * Goes on counting where {@link keepPrograms} ended; programs that were counted since keep their new number. Answers how
 * many there were; 0 also where nothing was kept, or for other translators.
 */
export async function recallPrograms(file: string, kept: string, build: string): Promise<number> {
  const bytes = await readFile(kept).catch(() => Buffer.alloc(0));
  const head = Buffer.from(`${build}\n`);
  if (bytes.length !== head.length + PROGRAM_COUNTER_BYTES || !bytes.subarray(0, head.length).equals(head)) return 0;
  const earlier = bytes.subarray(head.length);
  const now = (await readCounters(file)).subarray(EXEC_COUNTER_BYTES);
  if (now.length < PROGRAM_COUNTER_BYTES) return 0;
  const handle = await open(file, 'r+');
  let count = 0;
  try {
    for (let at = 0; at < PROGRAM_COUNTER_BYTES; at += PROGRAM_BYTES) {
      if (earlier.readUInt32LE(at) === 0 || now.readUInt32LE(at) !== 0) continue;
      await handle.write(earlier, at, PROGRAM_BYTES, EXEC_COUNTER_BYTES + at);
      count += 1;
    }
  } finally {
    await handle.close();
  }
  return count;
}

/**
 * Makes every program one that has not run yet, whose translations the next start keeps: the cache was emptied. In the
 * file as it is, because running programs have it mapped.
 */
export async function forgetPrograms(file: string, kept: string): Promise<void> {
  await rm(kept, { force: true });
  const handle = await open(file, 'r+');
  try {
    await handle.write(Buffer.alloc(PROGRAM_COUNTER_BYTES), 0, PROGRAM_COUNTER_BYTES, EXEC_COUNTER_BYTES);
  } finally {
    await handle.close();
  }
}
