/** A history as it is used: sorted, without duplicates, and with what could not be read told apart. */
import { createReadStream } from 'node:fs';
import { RosettaVmError } from '../../host/errors.ts';
import type { ComparableMeasurement, ComparableSession } from '../compare/comparable.ts';
import { fingerprintDigest } from '../compare/fingerprint.ts';
import { armName, type Fingerprint } from '../session.ts';
import { type AckLine, type HistoryLine, MAX_LINE_BYTES, parseLine, type ResultLine } from './format.ts';

export interface History {
  /** By date, then by session, benchmark and arm. */
  readonly results: readonly ResultLine[];
  /** By digest. */
  readonly fingerprints: ReadonlyMap<string, Fingerprint>;
  readonly acks: readonly AckLine[];
  readonly skipped: readonly SkippedLine[];
  /** All of them; `skipped` names the first {@link MAX_SKIPPED}. */
  readonly skippedCount: number;
}

export interface SkippedLine {
  /** From 1. */
  readonly line: number;
  readonly why: string;
}

export const MAX_SKIPPED = 20;
/** About 100,000 results; a file beyond it is not read on. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;

const EMPTY: History = { results: [], fingerprints: new Map(), acks: [], skipped: [], skippedCount: 0 };

/** A file that does not exist is an empty history. Throws `E_INVALID` for one that is beyond all bounds. */
export async function readHistory(file: string): Promise<History> {
  try {
    return await collect(boundedLines(createReadStream(file, { end: MAX_FILE_BYTES }), file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    throw error;
  }
}

/** The same from text. */
export async function parseHistory(text: string): Promise<History> {
  return await collect(boundedLines([Buffer.from(text)], 'the text'));
}

async function collect(lines: AsyncIterable<string | null>): Promise<History> {
  const results = new Map<string, ResultLine>();
  const fingerprints = new Map<string, Fingerprint>();
  const acks = new Map<string, AckLine>();
  const skipped: SkippedLine[] = [];
  let [number, skippedCount] = [0, 0];
  const skip = (why: string): void => {
    skippedCount += 1;
    if (skipped.length < MAX_SKIPPED) skipped.push({ line: number, why });
  };
  const keep = (line: HistoryLine): void => {
    if (line.line === 'result') results.set(resultKey(line), results.get(resultKey(line)) ?? line);
    else if (line.line === 'ack') acks.set(JSON.stringify(line), line);
    else if (fingerprintDigest(line.fingerprint) === line.digest) fingerprints.set(line.digest, line.fingerprint);
    else skip('Its digest is not that of its fingerprint.');
  };
  for await (const text of lines) {
    number += 1;
    if (text === null) skip(`It is longer than ${MAX_LINE_BYTES} bytes.`);
    else if (text.trim() !== '') {
      const parsed = parseLine(text);
      if (parsed.ok) keep(parsed.line);
      else skip(parsed.why);
    }
  }
  return {
    results: [...results.values()].sort(byTime),
    fingerprints,
    acks: [...acks.values()].sort((a, b) => (a.date < b.date ? -1 : 1)),
    skipped,
    skippedCount,
  };
}

/** A session has each benchmark once in each arm: of two lines that say so the first counts. */
const resultKey = ({ session, suite, benchmark, arm }: ResultLine): string =>
  [session, suite, benchmark, armName(arm)].join(' ');

/** Nothing is left to the order of the file, which a merge may change. */
function byTime(a: ResultLine, b: ResultLine): number {
  const difference = Date.parse(a.date) - Date.parse(b.date);
  if (difference !== 0) return difference;
  return resultKey(a) < resultKey(b) ? -1 : 1;
}

const NEWLINE = 0x0a;

/** Lines without their ends; null for one that is too long, of which no more than the bound is ever held. */
async function* boundedLines(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  source: string,
): AsyncGenerator<string | null> {
  let parts: Buffer[] = [];
  let [length, total] = [0, 0];
  const line = (): string | null => (length > MAX_LINE_BYTES ? null : Buffer.concat(parts).toString('utf8'));
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > MAX_FILE_BYTES) throw tooLarge(source);
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield line();
      [parts, length, start] = [[], 0, end + 1];
    }
    take(chunk.subarray(start));
  }
  if (length > 0) yield line();

  function take(part: Buffer): void {
    length += part.length;
    if (length > MAX_LINE_BYTES) parts = [];
    else parts.push(part);
  }
}

const tooLarge = (source: string): RosettaVmError =>
  new RosettaVmError('E_INVALID', {
    what: `The history ${source} is too large.`,
    why: `At most ${MAX_FILE_BYTES} bytes are read.`,
    fix: 'Begin a new file, and keep this one beside it.',
    facts: { source },
  });

/** Every session of a history, oldest first, in the form in which two can be compared. */
export function sessionsOf({ results, fingerprints }: History): ComparableSession[] {
  const groups = new Map<string, ResultLine[]>();
  for (const line of results) groups.set(line.session, [...(groups.get(line.session) ?? []), line]);
  return [...groups.values()].flatMap((lines): ComparableSession[] => {
    const [first] = lines;
    const fingerprint = first === undefined ? undefined : fingerprints.get(first.fingerprint);
    if (first === undefined || fingerprint === undefined) return [];
    const { session: id, date, commit, version, tier, state, reason } = first;
    return [
      { ...{ id, date, commit, version, tier, state, reason, fingerprint }, measurements: lines.map(measurementOf) },
    ];
  });
}

function measurementOf(line: ResultLine): ComparableMeasurement {
  const { suite, benchmark, arm, unit, smallerIsBetter, values, failed, counts, product, disk } = line;
  return { suite, benchmark, arm, unit, smallerIsBetter, values, failed, counts, product, disk };
}

/** The newest whole session of a commit, without changes in its tree; undefined when the history has none. */
export function sessionOfCommit(history: History, commit: string): ComparableSession | undefined {
  return sessionsOf(history)
    .filter((one) => one.state === 'complete' && one.commit?.id === commit && !one.commit.dirty)
    .at(-1);
}
