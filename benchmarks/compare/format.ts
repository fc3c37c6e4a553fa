/** The numbers of comparisons in words. A real minus sign, three digits that count. */
import { count } from '../../host/cli/format.ts';
import { formatSize } from '../../host/spec/units.ts';
import type { Measurement } from '../session.ts';
import type { Evidence, Verdict } from '../statistics/comparison.ts';
import type { ComparedRow, RowMetric, Summary } from './row.ts';

export function formatQuantity(value: number, unit: Measurement['unit']): string {
  switch (unit) {
    case 'seconds':
      return value < 1 ? `${threeDigits(value * 1000)} ms` : `${threeDigits(value)} s`;
    case 'bytes-per-second':
      return `${formatSize(value < 10 ? value : Math.round(value))}/s`;
    case 'operations-per-second':
      return `${threeDigits(value)}/s`;
    case 'count':
      return Number.isInteger(value) ? String(value) : value.toFixed(1);
  }
}

/** `3.97 s`, or `-` when nothing was measured. */
export const formatSummary = (summary: Summary | null, unit: Measurement['unit']): string =>
  summary === null ? '-' : formatQuantity(summary.median, unit);

/** `±1.2 %`: the median absolute deviation, as a share of the median; empty where there is none, as with a count. */
export function formatSpread(summary: Summary | null): string {
  if (summary === null || summary.runs < 2 || summary.mad === 0 || summary.median === 0) return '';
  return `±${((100 * summary.mad) / summary.median).toFixed(1)} %`;
}

/** What a ratio of costs means: `+5.2 %` costs more, `−64 %` less. */
export function formatChange(ratio: number | null): string {
  if (ratio === null) return '-';
  const percent = 100 * (ratio - 1);
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  const text = Math.abs(percent).toFixed(digits);
  return `${Number(text) === 0 ? '±' : percent > 0 ? '+' : '−'}${text} %`;
}

/** How many times cheaper: `2.81×` is a cost of 0.356. */
export const formatFactor = (ratio: number | null): string => (ratio === null ? '-' : `${threeDigits(1 / ratio)}×`);

/** `+3.1 % to +7.2 %`; `-` for what is not estimated. */
export function formatInterval({ interval }: Pick<Evidence, 'interval'>): string {
  return interval === null ? '-' : `${formatChange(interval.low)} to ${formatChange(interval.high)}`;
}

/** `2.71× to 2.95×`, from the lower to the higher factor. */
export function formatFactorInterval({ interval }: Pick<Evidence, 'interval'>): string {
  return interval === null ? '-' : `${formatFactor(interval.high)} to ${formatFactor(interval.low)}`;
}

export function formatP(p: number | null): string {
  if (p === null) return '-';
  return p < 0.0001 ? '< 0.0001' : p.toPrecision(2);
}

export const evidenceOf = (verdict: Verdict): Evidence | null => ('ratio' in verdict ? verdict : null);

const METRICS: Readonly<Record<Exclude<RowMetric, 'value'>, string>> = {
  execs: 'programs started',
  cacheEntriesRead: 'cache entries read',
  cacheEntriesWritten: 'cache entries written',
};

/** `compile/gcc-hello`, or `compile/gcc-hello, programs started`. */
export function rowTitle({ suite, benchmark, metric }: Pick<ComparedRow, 'suite' | 'benchmark' | 'metric'>): string {
  const name = `${suite}/${benchmark}`;
  return metric === 'value' ? name : `${name}, ${METRICS[metric]}`;
}

/** `slower`; counts and throughput are better or worse. */
export function verdictLabel({ verdict, unit }: Pick<ComparedRow, 'verdict' | 'unit'>): string {
  if (verdict.kind === 'not-comparable') return 'not comparable';
  if (unit === 'seconds') return verdict.kind;
  return verdict.kind === 'faster' ? 'better' : verdict.kind === 'slower' ? 'worse' : verdict.kind;
}

/** The same for a cell of its own: `inconclusive, 12 more runs`, where that is what would settle it. */
export function verdictWords(row: Pick<ComparedRow, 'verdict' | 'unit'>): string {
  const { verdict } = row;
  const label = verdictLabel(row);
  return verdict.kind === 'inconclusive' && verdict.moreRuns !== null
    ? `${label}, ${count(verdict.moreRuns, 'more run')}`
    : label;
}

function threeDigits(value: number): string {
  if (value === 0) return '0';
  const digits = Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(digits);
}
