/** A history as it is used: sorted, without duplicates, and with what could not be read told apart. */
import { createReadStream } from 'node:fs';
import { RosettaVmError } from '../../host/errors.ts';
import type { ComparableMeasurement, ComparableSession } from '../compare/comparable.ts';
import { fingerprintDigest, fingerprintDigestOfFirstFormat } from '../compare/fingerprint.ts';
import { withNamedFile } from '../named-file.ts';
import { armName, type Choice, type Fingerprint } from '../session.ts';
import {
  type AckLine,
  type FingerprintLine,
  type HistoryLine,
  MAX_LINE_BYTES,
  parseLine,
  type ResultLine,
} from './format.ts';

export interface History {
  /** By date, then by session, benchmark and arm. Those of a session whose append was cut off are partial. */
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

/** A file that does not exist is an empty history. Throws `E_INVALID` for one that is beyond all bounds, or cannot be read. */
export const readHistory = (file: string): Promise<History> =>
  withNamedFile(file, async () => {
    try {
      return await collect(boundedLines(createReadStream(file, { end: MAX_FILE_BYTES }), file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
      throw error;
    }
  });

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
    else if (digestOf(line) === line.digest) fingerprints.set(line.digest, line.fingerprint);
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
    results: [...cutOffAsPartial(results.values())].sort(byTime),
    fingerprints,
    acks: [...acks.values()].sort((a, b) => (a.date < b.date ? -1 : 1)),
    skipped,
    skippedCount,
  };
}

const digestOf = ({ format, fingerprint }: FingerprintLine): string =>
  format === 1 ? fingerprintDigestOfFirstFormat(fingerprint) : fingerprintDigest(fingerprint);

/** A session has each benchmark once in each arm: of two lines that say so the first counts. */
export const resultKey = ({ session, suite, benchmark, arm }: ResultLine): string =>
  [session, suite, benchmark, armName(arm)].join(' ');

/** Every line says that its session is complete, also those of one whose last lines a crash or a merge took. */
function cutOffAsPartial(lines: Iterable<ResultLine>): ResultLine[] {
  const all = [...lines];
  const found = new Map<string, { has: number; of: number }>();
  for (const { session, lines: of = 0 } of all) {
    const sofar = found.get(session) ?? { has: 0, of: 0 };
    found.set(session, { has: sofar.has + 1, of: Math.max(sofar.of, of) });
  }
  return all.map((line): ResultLine => {
    const { has, of } = found.get(line.session) ?? { has: 0, of: 0 };
    if (has >= of || line.state === 'partial') return line;
    return { ...line, state: 'partial', reason: `The history has ${has} of its ${of} results.` };
  });
}

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

/** A session of a history in the form in which two can be compared, and what it was for. */
export interface PastSession extends ComparableSession {
  readonly purpose: Choice['purpose'];
}

/** Every session of a history whose machine is known, oldest first. */
export function sessionsOf(history: History): PastSession[] {
  return [...bySession(history).values()].flatMap((lines): PastSession[] => {
    const [first] = lines;
    const fingerprint = lines
      .map((line) => history.fingerprints.get(line.fingerprint))
      .find((one) => one !== undefined);
    if (first === undefined || fingerprint === undefined) return [];
    const { session: id, date, commit, version, tier, state, reason, purpose = 'run' } = first;
    return [
      {
        ...{ id, date, commit, version, tier, state, reason, fingerprint, purpose },
        measurements: lines.map(measurementOf),
      },
    ];
  });
}

/** Ids of the sessions that {@link sessionsOf} leaves out: the line of their machine is lost, or cannot be read. */
export function withoutMachine(history: History): string[] {
  const known = new Set(sessionsOf(history).map(({ id }) => id));
  return [...bySession(history).keys()].filter((id) => !known.has(id));
}

function bySession({ results }: History): Map<string, ResultLine[]> {
  const groups = new Map<string, ResultLine[]>();
  for (const line of results) {
    const group = groups.get(line.session);
    if (group === undefined) groups.set(line.session, [line]);
    else group.push(line);
  }
  return groups;
}

function measurementOf(line: ResultLine): ComparableMeasurement {
  const { suite, benchmark, arm, unit, smallerIsBetter, values, failed, counts, product, disk } = line;
  return { suite, benchmark, arm, unit, smallerIsBetter, values, failed, counts, product, disk };
}

/** The whole sessions of a commit, without changes in its tree and meant to be compared, oldest first. */
export function sessionsOfCommit(history: History, commit: string): PastSession[] {
  return sessionsOf(history).filter(
    (one) =>
      one.state === 'complete' && one.purpose !== 'calibration' && one.commit?.id === commit && !one.commit.dirty,
  );
}
