/** When a benchmark became slower or faster for good, found in the history of its sessions. */
import { median } from './descriptive.ts';
import { type Candidate, eDivisive } from './e-divisive.ts';
import { pottsSteps } from './potts.ts';
import { studentTest } from './t-test.ts';

export interface ChangePointRule {
  /** A change is kept when a t-test of the sessions before and after it gives a p below this. */
  readonly alpha: number;
  /** The smallest change that counts: 0.03 is 3 %. */
  readonly minimumChange: number;
  /** Sessions between two changes, and before the first and after the last. Three at least; fewer find single outliers. */
  readonly minimumSegment: number;
  /** Sessions that are looked at together; windows overlap by half. */
  readonly window: number;
}

/** alpha and window are Apache Otava's; the segment is from the simulation that docs/STATISTICS.md describes. */
export const DEFAULT_CHANGE_POINT_RULE: ChangePointRule = {
  alpha: 0.001,
  minimumChange: 0.03,
  minimumSegment: 3,
  window: 50,
};

export interface ChangePoint {
  /** Of the first session after the change: it came in after session `index - 1`, up to and including this one. */
  readonly index: number;
  /** Median of the values from the change before up to this one, and from this one up to the next. */
  readonly before: number;
  readonly after: number;
  /** after / before. */
  readonly ratio: number;
  readonly p: number;
}

/** First pass: ten times the p of the last, so that merging, not dividing, decides (Hunter; Otava's `analysis.py`). */
const WEAK = 10;
/** The two methods mean the same change when they place it no further apart than this. */
const SAME_PLACE = 1;
/** Of logarithms of values: a step function that fits to a thousandth fits perfectly. asv's floor, 0.1 % of the level. */
const RESOLUTION = 0.001;

/**
 * Change points of a series of one value above 0 a session: the median of its samples, oldest first. Two methods must agree:
 * E-divisive proposes, Student's t-test merges what is not significant or too small (Hunter), and the step function that fits best (asv)
 * must have a step there too. Logarithms are compared, so that 10 % count alike on every level.
 */
export function changePoints(
  medians: readonly number[],
  rule: ChangePointRule = DEFAULT_CHANGE_POINT_RULE,
): ChangePoint[] {
  const logs = medians.map(Math.log);
  const found = windows(logs.length, rule.window).map(([start, end]) => {
    const part = logs.slice(start, end);
    return {
      candidates: eDivisive(part, rule.minimumSegment, WEAK * rule.alpha).map((one) => moved(one, start)),
      steps: pottsSteps(part, rule.minimumSegment, RESOLUTION).map((index) => index + start),
    };
  });
  const steps = found.flatMap((one) => one.steps);
  const agreed = found
    .flatMap(({ candidates }) => candidates)
    .filter(({ index }) => steps.some((step) => Math.abs(step - index) <= SAME_PLACE));
  return merge(apart(agreed, rule.minimumSegment), logs, rule).map(({ index, p }, place, all) => {
    const before = median(medians.slice(all[place - 1]?.index ?? 0, index));
    const after = median(medians.slice(index, all[place + 1]?.index ?? medians.length));
    return { index, before, after, ratio: after / before, p };
  });
}

const moved = ({ index, distance }: Candidate, by: number): Candidate => ({ index: index + by, distance });

/** From the oldest session on, each half over the one before; the last one ends with the newest session. */
function windows(length: number, width: number): (readonly [start: number, end: number])[] {
  const last = Math.max(0, length - width);
  const starts = Array.from({ length: Math.ceil(last / Math.floor(width / 2)) }, (_, i) => i * Math.floor(width / 2));
  return [...starts, last].map((start) => [start, Math.min(length, start + width)] as const);
}

/** Two windows may place one change a session apart: of candidates too close to each other the stronger stays. */
function apart(candidates: readonly Candidate[], minimum: number): number[] {
  const kept: number[] = [];
  for (const { index } of [...candidates].sort((a, b) => b.distance - a.distance)) {
    if (kept.every((other) => Math.abs(other - index) >= minimum)) kept.push(index);
  }
  return kept.sort((a, b) => a - b);
}

interface Tested {
  readonly index: number;
  readonly p: number;
  /** Absolute difference of the two sides' medians, in logarithms. */
  readonly size: number;
}

/** Takes away the weakest change point, and tests its neighbours anew over the longer sides, until all are strong. */
function merge(indexes: readonly number[], logs: readonly number[], rule: ChangePointRule): Tested[] {
  const tested = indexes.map((index, place): Tested => {
    const before = logs.slice(indexes[place - 1] ?? 0, index);
    const after = logs.slice(index, indexes[place + 1] ?? logs.length);
    return { index, p: studentTest(before, after).p, size: Math.abs(median(after) - median(before)) };
  });
  const weakest = weak(tested, rule);
  return weakest === undefined
    ? tested
    : merge(
        indexes.filter((index) => index !== weakest.index),
        logs,
        rule,
      );
}

function weak(tested: readonly Tested[], { alpha, minimumChange }: ChangePointRule): Tested | undefined {
  const [leastSure] = [...tested].sort((a, b) => b.p - a.p);
  if (leastSure !== undefined && leastSure.p >= alpha) return leastSure;
  const [smallest] = [...tested].sort((a, b) => a.size - b.size);
  return smallest !== undefined && smallest.size <= Math.log1p(minimumChange) ? smallest : undefined;
}
