/** A run in words and tables: for the terminal, and for the README. Pure. */
import { count } from '../host/cli/format.ts';
import { PLAIN, type Style } from '../host/cli/style.ts';
import { renderTable } from '../host/cli/table.ts';
import { formatSize } from '../host/spec/units.ts';
import { type Goal, medianOf, type PromisedNumber } from './goals.ts';
import { markdownTable } from './markdown.ts';
import type { BenchmarkRecord } from './record.ts';
import { ratio } from './statistics/descriptive.ts';
import { type BuildMode, describeStep, STEP_IDS, stepMedian } from './step-times.ts';
import { type Mode, WORKLOADS } from './workloads.ts';

const TIMES: readonly (readonly [title: string, mode: Mode])[] = [
  ['no cache', 'no-cache'],
  ['cold', 'cold'],
  ['warm', 'warm'],
  ['qemu-user', 'qemu'],
];
const RATIOS: readonly (readonly [title: string, base: Mode])[] = [
  ['warm vs no cache', 'no-cache'],
  ['warm vs qemu-user', 'qemu'],
];

const TIME_TITLES = ['workload', ...TIMES.map(([title]) => title), ...RATIOS.map(([title]) => title), 'cache'];

/** One row a workload: medians in seconds, ratios, and what the cache held of it. */
function timeRows({ results, cache }: BenchmarkRecord): string[][] {
  return WORKLOADS.map(({ id, title }) => {
    const used = cache.find(({ workload }) => workload === id);
    return [
      title,
      ...TIMES.map(([, mode]) => formatValue(medianOf(results, id, mode), 's')),
      ...RATIOS.map(([, base]) => formatValue(ratio(medianOf(results, id, base), medianOf(results, id, 'warm')), '×')),
      used === undefined ? '-' : `${count(used.entries, 'file')}, ${formatSize(used.bytes)}`,
    ];
  });
}

const PERSISTENCE: readonly (readonly [title: string, mode: BuildMode])[] = [
  ['after down, up', 'restarted'],
  ['after delete, up', 'recreated'],
];
const STEP_TITLES = ['docker build', ...[...TIMES, ...RATIOS, ...PERSISTENCE].map(([title]) => title)];

/** One row a step of the Docker build; none when it was not built. */
function stepRows({ build = [] }: BenchmarkRecord): string[][] {
  return STEP_IDS.filter((step) => build.some((one) => one.step === step && one.mode === 'warm')).map((step) => {
    const seconds = (mode: BuildMode) => stepMedian(build, step, mode);
    return [
      describeStep(step),
      ...TIMES.map(([, mode]) => formatValue(seconds(mode), 's')),
      ...RATIOS.map(([, base]) => formatValue(ratio(seconds(base), seconds('warm')), '×')),
      ...PERSISTENCE.map(([, mode]) => formatValue(seconds(mode), 's')),
    ];
  });
}

const NUMBER_TITLES = ['promised', 'measured', 'goal', ''];

function numberRows({ numbers }: BenchmarkRecord): string[][] {
  return numbers.map(({ title, value, unit, goal, met }) => [
    title,
    formatValue(value, unit),
    goal === null ? 'none' : formatGoal(goal, unit),
    met === null ? '' : met ? 'met' : 'NOT MET',
  ]);
}

/** Three digits that count: `0.61 s`, `18.3 s`, `2.81×`, `74.1 MB`; `-` for what there is not. */
export function formatValue(value: number | null, unit: PromisedNumber['unit']): string {
  if (value === null) return '-';
  const digits = Math.abs(value) < 10 ? 2 : 1;
  return `${value.toFixed(digits)}${unit === '×' ? '×' : ` ${unit}`}`;
}

export function formatGoal({ kind, value }: Goal, unit: PromisedNumber['unit']): string {
  const sign = { 'at-least': '≥', 'at-most': '≤', below: '<' }[kind];
  return `${sign} ${value}${unit === '×' ? '×' : ` ${unit}`}`;
}

/** What ran, on what, and how often. */
function describeRun({ host, translators, results, rejected }: BenchmarkRecord): string[] {
  const ran = translators.map(
    ({ name, version, proved }) =>
      `${name} ${version} (${proved ? 'proved by running an x86_64 program' : 'not proved'})`,
  );
  const how = host.execution === 'emulated' ? 'emulated: ratios hold, absolute times do not' : 'not emulated';
  const memory = formatSize(host.memoryBytes);
  return [
    `Translators that ran: ${ran.join(', ')}.`,
    `Host: ${host.cpu}, ${count(host.cpus, 'CPU')}, ${memory}, ${host.os}, ${host.qemu === undefined ? '' : `QEMU ${host.qemu}, `}CPU ${how}.`,
    `Guest: ${formatSize(host.guest.memoryBytes)}, Linux ${host.guest.kernel}, image ${host.guest.image}.`,
    `Times are medians, taken in the guest by hyperfine; runs: ${describeRuns(results)}.`,
    ...rejected.map(({ workload, mode, reason }) => `Not counted: ${workload}, ${mode}: ${reason}`),
  ];
}

/** `5 each; gcc -O2 -c, 448 lines: 3`, cold runs apart. */
function describeRuns(results: BenchmarkRecord['results']): string {
  return WORKLOADS.map(({ id, title }) => {
    const own = results.filter(({ parameters }) => parameters?.workload === id);
    const runs = own.map(({ parameters, times }) => `${times.length} ${parameters?.mode}`);
    return `${title}: ${runs.join(', ')}`;
  }).join('; ');
}

/** For the terminal. */
export function renderReport(record: BenchmarkRecord, style: Style = PLAIN): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const [first = '', ...others] = TIME_TITLES;
  const [step = '', ...stepOthers] = STEP_TITLES;
  const steps = stepRows(record);
  const [promised = '', measured = '', goal = '', verdict = ''] = NUMBER_TITLES;
  const paint = (cell: string): string => (cell === 'met' ? style.green(cell) : style.red(cell));
  return [
    renderTable([{ title: first }, ...others.map(right)], timeRows(record)),
    ...(steps.length === 0 ? [] : [renderTable([{ title: step }, ...stepOthers.map(right)], steps)]),
    `${describeRun(record)
      .map((line) => `${line}\n`)
      .join('')}`,
    renderTable([{ title: promised }, right(measured), right(goal), { title: verdict, paint }], numberRows(record)),
  ].join('\n');
}

/** What stands in the README between {@link MARKERS}. */
export function renderMarkdown(record: BenchmarkRecord): string {
  const steps = stepRows(record);
  return [
    markdownTable(TIME_TITLES, timeRows(record)),
    ...(steps.length === 0 ? [] : [markdownTable(STEP_TITLES, steps)]),
    describeRun(record).join(' '),
    markdownTable(NUMBER_TITLES, numberRows(record)),
    `Measured on ${record.date.slice(0, 10)} with \`npm run demo\`.`,
  ].join('\n\n');
}

/** Lines of the README that enclose {@link renderMarkdown}. */
export const MARKERS = { begin: '<!-- numbers:begin -->', end: '<!-- numbers:end -->' } as const;
