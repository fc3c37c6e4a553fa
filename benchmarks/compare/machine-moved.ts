/** Work that needs no translator, measured beside the work that does, tells the machine's own change from the code's. */
import type { Evidence } from '../statistics/comparison.ts';
import type { ComparedRow } from './row.ts';

/** What a change is explained by must have moved by more than chance; of its own test, not adjusted, as it accuses nobody. */
const WITNESS_ALPHA = 0.05;

/**
 * Between two sessions a change is not believed when native work of the same benchmark changed in the same direction and
 * what is left beside that is within the threshold: then it is inconclusive. The same holds for native work, by the others.
 */
export function heldBackWithTheMachine(rows: readonly ComparedRow[]): ComparedRow[] {
  const explained = new Set<ComparedRow>();
  for (const row of rows) {
    const native = nativeRowOf(row, rows);
    if (native === undefined) continue;
    if (isExplainedBy(row, native)) explained.add(row);
    if (isExplainedBy(native, row)) explained.add(native);
  }
  return rows.map((row) => (explained.has(row) ? heldBack(row) : row));
}

/** The native row of the same benchmark; undefined for that row itself, for counts, and where there is none. */
export function nativeRowOf(row: ComparedRow, rows: readonly ComparedRow[]): ComparedRow | undefined {
  if (row.metric !== 'value' || isNative(row)) return undefined;
  return rows.find(
    (other) =>
      other.metric === 'value' && isNative(other) && other.suite === row.suite && other.benchmark === row.benchmark,
  );
}

/** A change that the test found and that is not believed all the same: people want to see it, and why. */
export const isHeldBack = ({ verdict }: ComparedRow): boolean =>
  verdict.kind === 'inconclusive' && (verdict.because === 'machine-moved' || verdict.because === 'sessions-unknown');

const isNative = ({ changeArm }: ComparedRow): boolean => /^native(,|$)/.test(changeArm);

function isExplainedBy({ verdict }: ComparedRow, witness: ComparedRow): boolean {
  if (verdict.kind !== 'slower' && verdict.kind !== 'faster') return false;
  const theirs = testedOf(witness);
  if (theirs === null || theirs.p >= WITNESS_ALPHA || verdict.ratio === null) return false;
  const [mine, its] = [Math.log(verdict.ratio), Math.log(theirs.ratio)];
  return Math.sign(mine) === Math.sign(its) && Math.abs(mine) - Math.abs(its) <= Math.log1p(verdict.threshold);
}

function testedOf({ verdict }: ComparedRow): { readonly ratio: number; readonly p: number } | null {
  if (!('ratio' in verdict) || verdict.ratio === null || verdict.p === null) return null;
  return { ratio: verdict.ratio, p: verdict.p };
}

function heldBack(row: ComparedRow): ComparedRow {
  const { verdict } = row;
  if (verdict.kind !== 'slower' && verdict.kind !== 'faster') return row;
  const { kind: _, ...evidence }: { readonly kind: string } & Evidence = verdict;
  return { ...row, verdict: { kind: 'inconclusive', because: 'machine-moved', moreRuns: null, ...evidence } };
}
