/** Writing a history: only at its end, whole lines or none, by one process at a time. */
import { access, constants, type FileHandle, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { lock } from '../../host/process/lock.ts';
import { comparable } from '../compare/comparable.ts';
import { fingerprintDigest } from '../compare/fingerprint.ts';
import { summary } from '../compare/row.ts';
import { withNamedFile } from '../named-file.ts';
import type { Session } from '../session.ts';
import {
  type AckLine,
  type FingerprintLine,
  HISTORY_FORMAT,
  type HistoryLine,
  printLine,
  type ResultLine,
} from './format.ts';
import { readHistory, resultKey } from './read.ts';

/** An append takes milliseconds; reading a large file before it, a second. */
const LOCK_TIMEOUT_MS = 30_000;

/** Before minutes are spent on a session that the file could not take. Throws `E_INVALID`. */
export async function requireWritable(file: string): Promise<void> {
  await readHistory(file);
  await withNamedFile(file, () =>
    access(file, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    }),
  );
}

/**
 * Adds a session, a line for each benchmark and arm. Resolves to the number of lines that were written: those that the file
 * lacks, so none when it has the whole session, and the rest of one whose append was cut off. Throws `E_LOCKED`, `E_INVALID`
 * (the file is beyond all bounds) and what the file system says; the file is then as it was.
 */
export async function appendSession(file: string, session: Session): Promise<number> {
  return await exclusively(file, async (handle) => {
    const history = await readHistory(file);
    const written = new Set(history.results.map(resultKey));
    const lines = linesOf(session).filter((line) => !written.has(resultKey(line)));
    const fingerprint: FingerprintLine = {
      format: HISTORY_FORMAT,
      line: 'fingerprint',
      digest: fingerprintDigest(session.fingerprint),
      fingerprint: session.fingerprint,
    };
    const known = history.fingerprints.has(fingerprint.digest);
    const results = session.measurements.length + session.rejected.length;
    const all = known || results === 0 ? lines : [fingerprint, ...lines];
    await append(handle, all);
    return all.length;
  });
}

/** Adds the reason of a change. Throws as {@link appendSession}. */
export async function appendAck(file: string, ack: Omit<AckLine, 'format' | 'line'>): Promise<void> {
  await exclusively(file, async (handle) => {
    await append(handle, [{ format: HISTORY_FORMAT, line: 'ack', ...ack }]);
  });
}

/** The lines of a session, without its fingerprint's. */
export function linesOf(session: Session): ResultLine[] {
  const { id, date, clockJumpMs, version, commit, tier, state, reason } = session;
  const { measurements } = comparable(session);
  return measurements.map((one): ResultLine => {
    const values = one.values.map(sixDigits);
    const { median = null, mad = null } = summary(values) ?? {};
    return {
      format: HISTORY_FORMAT,
      line: 'result',
      ...{ session: id, date, clockJumpMs, version, commit, tier, state },
      lines: measurements.length,
      // Before there were purposes a calibration was kept out of every history.
      purpose: session.choice?.purpose ?? 'run',
      ...(reason === undefined ? {} : { reason }),
      fingerprint: fingerprintDigest(session.fingerprint),
      ...{ suite: one.suite, benchmark: one.benchmark, arm: one.arm },
      ...{ unit: one.unit, smallerIsBetter: one.smallerIsBetter, failed: one.failed },
      median: median === null ? null : sixDigits(median),
      mad: mad === null ? null : sixDigits(mad),
      values,
      counts: one.counts,
      ...(one.product === undefined ? {} : { product: one.product }),
      ...(one.disk === undefined ? {} : { disk: one.disk }),
    };
  });
}

const sixDigits = (value: number): number => Number(value.toPrecision(6));

/** The lock is on the history itself, so that no other file lies beside it in the user's repository. */
async function exclusively<T>(file: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const held = await lock(file, { timeoutMs: LOCK_TIMEOUT_MS, what: `The history ${file}` });
  try {
    // O_APPEND: also a writer that knows no lock, such as a text editor's append or `cat >>`, is not written over.
    const handle = await open(file, 'a+', 0o644);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  } finally {
    await held.release();
  }
}

/** On failure (a full disk) the file gets its old length back, so that no half line stays. */
async function append(handle: FileHandle, lines: readonly HistoryLine[]): Promise<void> {
  if (lines.length === 0) return;
  const { size } = await handle.stat();
  // A write that was cut short, by a crash, left a line without an end: it stays a line of its own.
  const text = `${(await endsWithNewline(handle, size)) ? '' : '\n'}${lines.map(printLine).join('')}`;
  try {
    await handle.appendFile(text);
    await handle.sync();
  } catch (error) {
    await handle.truncate(size);
    throw error;
  }
}

async function endsWithNewline(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}
