/** The report's section about what the guest counted beside the time. */
import { count } from '../../host/cli/format.ts';
import { formatSize } from '../../host/spec/units.ts';
import { benchmarkName } from '../compare/comparable.ts';
import { formatQuantity } from '../compare/format.ts';
import { armName, type Counts, type Measurement } from '../session.ts';
import { median } from '../statistics/descriptive.ts';
import { type Html, html } from './html-text.ts';
import { card } from './sections.ts';
import type { ReportView } from './view.ts';

interface Counter {
  readonly title: string;
  /** Of one sample; undefined where it was not counted. */
  readonly of: (counts: Counts) => number | undefined;
  readonly format: (value: number) => string;
}

const whole = (value: number): string => formatQuantity(value, 'count');

const COUNTERS: readonly Counter[] = [
  { title: 'programs', of: ({ execs }) => execs, format: whole },
  { title: 'read from cache', of: ({ cacheEntriesRead }) => cacheEntriesRead, format: whole },
  { title: 'written to cache', of: ({ cacheEntriesWritten }) => cacheEntriesWritten, format: whole },
  { title: 'CPU, user', of: ({ cpuUserUsec }) => cpuUserUsec, format: formatMicroseconds },
  { title: 'CPU, kernel', of: ({ cpuSystemUsec }) => cpuSystemUsec, format: formatMicroseconds },
  { title: 'memory', of: ({ memoryPeakBytes }) => memoryPeakBytes, format: formatBytes },
  { title: 'disk read', of: ({ readBytes }) => readBytes, format: formatBytes },
  { title: 'disk written', of: ({ writtenBytes }) => writtenBytes, format: formatBytes },
];

function formatMicroseconds(value: number): string {
  return formatQuantity(value / 1e6, 'seconds');
}

function formatBytes(value: number): string {
  return formatSize(Math.round(value));
}

/** Null where nothing was counted. A counter that no sample has is no column. */
export function countersSection({ session, label }: ReportView): Html | null {
  const shown = COUNTERS.filter(({ of }) =>
    session.measurements.some(({ counts }) => counts.some((one) => of(one) !== undefined)),
  );
  const counted = session.measurements.filter(({ counts }) =>
    shown.some(({ of }) => counts.some((one) => of(one) !== undefined)),
  );
  if (counted.length === 0) return null;
  const groups = new Map<string, Measurement[]>();
  for (const one of counted) groups.set(benchmarkName(one), [...(groups.get(benchmarkName(one)) ?? []), one]);
  const bodies = [...groups].map(
    ([name, measurements]) =>
      html`<tbody>${measurements.map((one, index) => {
        const arm = label(armName(one.arm));
        const head = html`<th scope="rowgroup" rowspan="${measurements.length}">${name}</th>`;
        const cells = shown.map((counter) => html`<td class="number">${cell(one, counter)}</td>`);
        return html`<tr>${index === 0 ? head : null}<td class="arm ${arm.className}">${arm.label}</td>${cells}</tr>`;
      })}</tbody>`,
  );
  return card(
    'counters',
    'What the guest counted',
    'Of a sample’s own cgroup, the router and the cache. Programs and cache entries have no noise where they are the same in every sample; where they are not, the least and the greatest are shown. The rest are medians.',
    [
      html`<div class="scroll"><table><caption>Of one sample; memory is the peak. ${count(counted.length, 'arm')} of ${count(groups.size, 'benchmark')}</caption><thead><tr><th scope="col">benchmark</th><th scope="col">arm</th>${shown.map(({ title }) => html`<th scope="col" class="number">${title}</th>`)}</tr></thead>${bodies}</table></div>`,
    ],
  );
}

function cell({ counts }: Measurement, { of, format }: Counter): string {
  const values = counts.flatMap((one) => of(one) ?? []);
  if (values.length === 0) return '';
  if (format !== whole) return format(median(values));
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  return least === greatest ? format(least) : `${format(least)} to ${format(greatest)}`;
}
