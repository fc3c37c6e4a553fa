/** What a history says of its benchmarks: where each became slower or faster for good, and since which commit. */

import { type FingerprintField, fingerprintDigest, fingerprintOfArm } from '../compare/fingerprint.ts';
import { type Arm, armName, type Fingerprint } from '../session.ts';
import { type ChangePointRule, changePoints, DEFAULT_CHANGE_POINT_RULE } from '../statistics/change-points.ts';
import { median, medianAbsoluteDeviation } from '../statistics/descriptive.ts';
import type { Outcome } from '../statistics/verdict.ts';
import type { AckLine, ResultLine } from './format.ts';
import { type History, withoutMachine } from './read.ts';

/** A benchmark in an arm on a kind of machine, session after session. */
export interface Series {
  readonly suite: string;
  readonly benchmark: string;
  readonly arm: Arm;
  readonly tier: ResultLine['tier'];
  readonly unit: ResultLine['unit'];
  readonly smallerIsBetter: boolean;
  readonly digest: string;
  /** Undefined when the file lost that line. */
  readonly fingerprint: Fingerprint | undefined;
  /** Oldest first. */
  readonly points: readonly Point[];
  readonly changes: readonly Change[];
}

export interface Point {
  readonly session: string;
  readonly date: string;
  readonly commit: ResultLine['commit'];
  readonly version: string;
  readonly median: number;
  readonly mad: number;
  readonly runs: number;
}

export interface Change {
  readonly kind: 'slower' | 'faster';
  /** Of the first point after it. */
  readonly index: number;
  /** Medians of the medians before and after. */
  readonly before: number;
  readonly after: number;
  /** What it costs now over what it cost: above 1 is worse, in whichever direction better lies. */
  readonly ratio: number;
  readonly p: number;
  /** It came in after the first of these and up to the second. */
  readonly lastBefore: Point;
  readonly firstAfter: Point;
  /**
   * `open`: worse, and nobody said why. `acknowledged`: somebody did. `recovered`: worse then, and now as good as before.
   * `improvement`: better.
   */
  readonly state: 'open' | 'acknowledged' | 'recovered' | 'improvement';
  readonly reason: string | null;
}

export interface LeftOut {
  readonly partial: number;
  readonly failed: number;
  readonly future: number;
  /** Of trees with changes: nobody can go back to what was measured. */
  readonly dirty: number;
  /** Sessions that cannot be compared, as the line of their machine is lost; their results are in a series of their own. */
  readonly machineLost: number;
}

export interface HistoryReport {
  readonly schemaVersion: 1;
  readonly kind: 'rosetta-vm-bench-history';
  /** Longest first. */
  readonly series: readonly Series[];
  /** Results that are in no series, and why. */
  readonly leftOut: LeftOut;
  /** Fields of the fingerprint across which series were joined. */
  readonly accepted: readonly FingerprintField[];
  readonly skipped: History['skipped'];
  readonly skippedCount: number;
  /** Regression: a change is open. Inconclusive: no series is long enough to find one in. Broken: there is no result. */
  readonly outcome: Extract<Outcome, 'ok' | 'regression' | 'inconclusive' | 'broken'>;
}

export interface HistoryOptions {
  readonly rule?: ChangePointRule | undefined;
  /** Sessions of a later time were dated by a clock that was wrong: their place is unknown. ms since 1970. */
  readonly now?: number | undefined;
  /** May differ within a series: so that a change that came with a new image is found. */
  readonly accept?: readonly FingerprintField[] | undefined;
}

/** Clocks of two machines that write one history differ by so much and more, ms. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** An acknowledgement names the first session after a change; with more data its place may move by one. */
const ACK_TOLERANCE = 1;

/**
 * Series by benchmark, arm, tier, unit and machine, each with its change points; of a machine's translators the arm's own
 * counts. Left out are sessions that are partial, of a tree with changes, from the future or only to calibrate, and arms in
 * which samples failed.
 */
export function historyReport(
  history: History,
  { rule = DEFAULT_CHANGE_POINT_RULE, now = Date.now(), accept = [] }: HistoryOptions = {},
): HistoryReport {
  const leftOut = { partial: 0, failed: 0, future: 0, dirty: 0, machineLost: withoutMachine(history).length };
  const groups = new Map<string, ResultLine[]>();
  const keyOf = seriesKeys(history, accept);
  for (const line of history.results) {
    if (line.purpose === 'calibration') continue;
    if (Date.parse(line.date) > now + CLOCK_TOLERANCE_MS) leftOut.future += 1;
    else if (line.state === 'partial') leftOut.partial += 1;
    else if (line.commit?.dirty === true) leftOut.dirty += 1;
    else if (line.failed > 0 || !line.values.every((value) => value > 0) || line.values.length === 0)
      leftOut.failed += 1;
    else groups.set(keyOf(line), [...(groups.get(keyOf(line)) ?? []), line]);
  }
  const series = [...groups.values()]
    .map((lines) => makeSeries(lines, history, rule))
    .sort((a, b) => b.points.length - a.points.length);
  return {
    ...{ schemaVersion: 1, kind: 'rosetta-vm-bench-history', series, leftOut, accepted: accept },
    skipped: history.skipped,
    skippedCount: history.skippedCount,
    outcome: outcomeOf(series, rule),
  };
}

/** A lost fingerprint is told apart by the digest that its results name. */
function seriesKeys(history: History, accept: readonly FingerprintField[]): (line: ResultLine) => string {
  return ({ suite, benchmark, arm, tier, unit, fingerprint: digest, disk = '' }) => {
    const fingerprint = history.fingerprints.get(digest);
    const machine = fingerprint === undefined ? digest : machineOf(fingerprint, arm, accept);
    return [suite, benchmark, armName(arm), tier, unit, machine, accept.includes('disk') ? '' : disk].join(' ');
  };
}

function machineOf(fingerprint: Fingerprint, arm: Arm, accept: readonly FingerprintField[]): string {
  const fields = Object.entries(fingerprintOfArm(fingerprint, arm));
  const compared = fields.filter(([field]) => !(accept as readonly string[]).includes(field));
  return fingerprintDigest(Object.fromEntries(compared));
}

function makeSeries(lines: readonly ResultLine[], history: History, rule: ChangePointRule): Series {
  // A group has a line at least.
  const { suite, benchmark, arm, tier, unit, smallerIsBetter, fingerprint: digest } = lines[0] as ResultLine;
  const points = lines.map(pointOf);
  const found = changePoints(
    points.map(({ median }) => median),
    rule,
  );
  const acks = history.acks.filter((ack) => acknowledges(ack, { suite, benchmark, arm }));
  const now = found.at(-1)?.after;
  const changes = found.flatMap((point): Change[] => {
    const { index, before, after, p } = point;
    const [lastBefore, firstAfter] = [points[index - 1], points[index]];
    if (lastBefore === undefined || firstAfter === undefined) return [];
    const ratio = smallerIsBetter ? after / before : before / after;
    const current = smallerIsBetter ? (now ?? after) / before : before / (now ?? after);
    const ack = acks.find(({ session }) => {
      const place = points.findIndex((one) => one.session === session);
      return place !== -1 && Math.abs(place - index) <= ACK_TOLERANCE;
    });
    return [
      {
        kind: ratio > 1 ? 'slower' : 'faster',
        ...{ index, before, after, ratio, p, lastBefore, firstAfter },
        state:
          ratio <= 1
            ? 'improvement'
            : ack !== undefined
              ? 'acknowledged'
              : current <= 1 + rule.minimumChange
                ? 'recovered'
                : 'open',
        reason: ack?.reason ?? null,
      },
    ];
  });
  const fingerprint = history.fingerprints.get(digest);
  return { ...{ suite, benchmark, arm, tier, unit, smallerIsBetter, digest, fingerprint, points, changes } };
}

/** From the values: what else a line says of them is for people. */
function pointOf({ session, date, commit, version, values }: ResultLine): Point {
  const at = { session, date, commit, version, runs: values.length };
  return { ...at, median: median(values), mad: medianAbsoluteDeviation(values) };
}

function acknowledges(ack: AckLine, { suite, benchmark, arm }: Pick<Series, 'suite' | 'benchmark' | 'arm'>): boolean {
  return (
    (ack.suite ?? suite) === suite &&
    (ack.benchmark ?? benchmark) === benchmark &&
    (ack.arm ?? armName(arm)) === armName(arm)
  );
}

function outcomeOf(series: readonly Series[], { minimumSegment }: ChangePointRule): HistoryReport['outcome'] {
  if (series.length === 0) return 'broken';
  if (series.some(({ changes }) => changes.some(({ state }) => state === 'open'))) return 'regression';
  return series.some(({ points }) => points.length >= 2 * minimumSegment) ? 'ok' : 'inconclusive';
}

/** `1234abcd..5678ef01`: what to look through for the cause; in words where there is no such range. */
export function commitRange({ lastBefore, firstAfter }: Pick<Change, 'lastBefore' | 'firstAfter'>): string {
  const [from, to] = [lastBefore.commit, firstAfter.commit];
  if (from === null || to === null) {
    return `between the sessions ${lastBefore.session} and ${firstAfter.session} (outside git)`;
  }
  const dirty = from.dirty || to.dirty ? ', or changes that were not committed' : '';
  if (from.id === to.id) return `not in the commits: both sides are ${short(from.id)}${dirty}`;
  return `${short(from.id)}..${short(to.id)}${dirty}`;
}

const short = (commit: string): string => commit.slice(0, 10);
