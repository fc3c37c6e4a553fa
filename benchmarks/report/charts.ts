/**
 * The report's figures: static SVG, drawn by Observable Plot on a document of linkedom's, so that the file needs no
 * script. Colours are the style sheet's variables. Sizes are px of the drawing, which is scaled to its column.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { formatFactor, formatQuantity } from '../compare/format.ts';
import type { Series } from '../history/changes.ts';
import type { Measurement } from '../session.ts';
import { median } from '../statistics/descriptive.ts';
import { Html } from './html-text.ts';

const { document } = parseHTML('<!doctype html><html lang="en"><body></body></html>');

const WIDE = 1030;
const HALF = 500;
const GRID = { stroke: 'var(--line)', strokeOpacity: 1 } as const;

export interface GainMark {
  readonly benchmark: string;
  readonly arm: string;
  readonly colour: string;
  readonly factor: number;
  readonly low: number;
  readonly high: number;
}

/** How many times faster than its base each arm is, with its interval, on a logarithmic scale with 1× marked. */
export function gainChart(marks: readonly GainMark[]): Html {
  const benchmarks = [...new Set(marks.map(({ benchmark }) => benchmark))];
  const arms = [...new Set(marks.map(({ arm }) => arm))];
  const all = marks.flatMap(({ low, high, factor }) => [low, high, factor, 1]);
  const domain = [Math.min(...all) / 1.12, Math.max(...all) * 1.18];
  return drawing(
    {
      width: WIDE,
      height: 50 + benchmarks.length * (arms.length * 17 + 12),
      ...{ marginLeft: 190, marginRight: 70, marginTop: 8, marginBottom: 36 },
      x: {
        type: 'log',
        domain,
        label: 'times faster than the base',
        ticks: ticksWithin(domain),
        tickFormat: (x: number) => `${x}×`,
      },
      y: { axis: null, domain: arms, padding: 0.4 },
      fy: { domain: benchmarks, label: null, padding: 0, axis: null },
      marks: [
        Plot.gridX(ticksWithin(domain), GRID),
        Plot.frame({ anchor: 'bottom', ...GRID }),
        Plot.ruleX([1], { stroke: 'var(--soft)', strokeDasharray: '3,3' }),
        Plot.text(benchmarks, {
          ...{ fy: (one: string) => one, frameAnchor: 'left', textAnchor: 'start', dx: -184 },
          ...{ text: (one: string) => one, fill: 'var(--text)', fontSize: 13 },
        }),
        Plot.ruleY(marks, {
          fy: 'benchmark',
          y: 'arm',
          x1: 'low',
          x2: 'high',
          stroke: 'colour',
          strokeWidth: 3,
          strokeOpacity: 0.45,
          strokeLinecap: 'round',
        }),
        Plot.dot(marks, {
          ...{ fy: 'benchmark', y: 'arm', x: 'factor', r: 4.5, fill: 'colour' },
          title: ({ benchmark, arm, factor }: GainMark) => `${benchmark}, ${arm}: ${formatFactor(1 / factor)}`,
        }),
        Plot.text(marks, {
          ...{ fy: 'benchmark', y: 'arm', x: 'high', dx: 8, textAnchor: 'start', fontSize: 12 },
          ...{ text: ({ factor }: GainMark) => formatFactor(1 / factor), fill: 'var(--text)' },
        }),
      ],
    },
    `How many times faster each arm is than its base: ${marks.map(({ benchmark, arm, factor }) => `${benchmark}, ${arm}: ${formatFactor(1 / factor)}`).join('; ')}`,
  );
}

const ticksWithin = ([low = 0, high = 0]: readonly number[]): number[] =>
  [0.1, 0.2, 0.5, 0.8, 1, 1.2, 1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100].filter((tick) => tick >= low && tick <= high);

export interface ChangeMark {
  readonly title: string;
  /** Ratio of costs. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly colour: string;
}

/** What each benchmark costs more or less than before, with its interval and the band that does not count. */
export function changeChart(marks: readonly ChangeMark[], threshold: number): Html {
  const percent = (ratio: number): number => 100 * (ratio - 1);
  const rows = marks.map((mark) => ({
    ...mark,
    x: percent(mark.ratio),
    x1: percent(mark.low),
    x2: percent(mark.high),
  }));
  const reach =
    Math.max(100 * threshold, ...rows.flatMap(({ x1, x2, x }) => [Math.abs(x1), Math.abs(x2), Math.abs(x)])) * 1.15;
  return drawing(
    {
      width: WIDE,
      height: 52 + rows.length * 26,
      ...{ marginLeft: 330, marginRight: 30, marginTop: 8, marginBottom: 38 },
      x: {
        domain: [-reach, reach],
        label: 'cost against the base, %',
        ticks: 9,
        tickFormat: signed,
      },
      y: { domain: rows.map(({ title }) => title), label: null, padding: 0.5, tickSize: 0 },
      marks: [
        Plot.gridX(GRID),
        Plot.rectX([0], { x1: -100 * threshold, x2: 100 * threshold, fill: 'var(--plain-ground)' }),
        Plot.ruleX([0], { stroke: 'var(--soft)', strokeDasharray: '3,3' }),
        Plot.axisY({ label: null, tickSize: 0, fontSize: 12.5, fill: 'var(--text)' }),
        Plot.ruleY(rows, {
          y: 'title',
          x1: 'x1',
          x2: 'x2',
          stroke: 'colour',
          strokeWidth: 3,
          strokeOpacity: 0.45,
          strokeLinecap: 'round',
        }),
        Plot.dot(rows, {
          y: 'title',
          x: 'x',
          r: 4.5,
          fill: 'colour',
          title: ({ title, x }: { title: string; x: number }) => `${title}: ${x.toFixed(1)} %`,
        }),
      ],
    },
    `Change of cost, and the interval in which it lies: ${rows.map(({ title, x }) => `${title}: ${x.toFixed(1)} %`).join('; ')}`,
  );
}

export interface SampleArm {
  readonly arm: string;
  readonly colour: string;
  readonly values: readonly number[];
}

/** The figure is at least so many % wide on either side, so that a quiet machine looks quiet. */
const LEAST_REACH = 3;

/** Labels of seven, with a sign and three digits each, touch. */
const SAMPLE_TICKS = 5;

/**
 * How far each sample is from the median of its arm, in %, so that arms of any size show their noise on one scale. Within
 * an arm the first sample is on top and the last below.
 */
export function sampleChart(title: string, arms: readonly SampleArm[], unit: Measurement['unit']): Html {
  const dots = arms.flatMap(({ arm, colour, values }) => {
    const middle = median(values);
    return values.map((value, index) => ({
      ...{ arm, colour, value },
      x: middle === 0 ? 0 : 100 * (value / middle - 1),
      lane: values.length < 2 ? 0.5 : 0.86 - (0.72 * index) / (values.length - 1),
    }));
  });
  const medians = arms.map(({ arm, values }) => ({ arm, text: formatQuantity(median(values), unit) }));
  const reach = Math.max(LEAST_REACH, ...dots.map(({ x }) => Math.abs(x))) * 1.05;
  return drawing(
    {
      width: HALF,
      height: 44 + arms.length * 40,
      ...{ marginLeft: 128, marginRight: 62, marginTop: 4, marginBottom: 36 },
      x: { domain: [-reach, reach], label: 'from the median, %', ticks: SAMPLE_TICKS, tickFormat: signed },
      y: { domain: [0, 1], axis: null },
      fy: { domain: arms.map(({ arm }) => arm), label: null, axis: null, padding: 0 },
      marks: [
        Plot.gridX({ ...GRID, ticks: SAMPLE_TICKS }),
        Plot.frame({ anchor: 'bottom', ...GRID }),
        Plot.ruleX([0], { stroke: 'var(--soft)', strokeDasharray: '3,3' }),
        Plot.text(arms, {
          ...{ fy: 'arm', frameAnchor: 'left', textAnchor: 'start', dx: -124 },
          ...{ text: 'arm', fill: 'var(--text)', fontSize: 12 },
        }),
        Plot.dot(dots, {
          ...{ fy: 'arm', x: 'x', y: 'lane', r: 2.8, fill: 'colour', fillOpacity: 0.75 },
          title: ({ arm, value }: { arm: string; value: number }) => `${arm}: ${formatQuantity(value, unit)}`,
        }),
        Plot.text(medians, {
          ...{ fy: 'arm', frameAnchor: 'right', textAnchor: 'start', dx: 8 },
          ...{ text: 'text', fontSize: 12, fill: 'var(--text)' },
        }),
      ],
    },
    `Samples of ${title}: ${arms
      .map(({ arm, values }, index) => `${arm}: ${values.length} samples, median ${medians[index]?.text}`)
      .join('; ')}`,
  );
}

const signed = (x: number): string => `${x > 0 ? '+' : x < 0 ? '−' : ''}${Math.abs(x)}`;

/** Factor and label of an axis on which `greatest` reads well. */
function scaleOf(greatest: number, unit: Measurement['unit']): readonly [factor: number, label: string] {
  switch (unit) {
    case 'seconds':
      return greatest < 1 ? [1000, 'ms'] : [1, 'seconds'];
    case 'bytes-per-second':
      return [1 / 2 ** 20, 'MiB/s'];
    case 'operations-per-second':
      return [1, 'per second'];
    case 'count':
      return [1, 'count'];
  }
}

const STATE_COLOURS = {
  open: 'var(--bad)',
  acknowledged: 'var(--soft)',
  recovered: 'var(--soft)',
  improvement: 'var(--good)',
} as const;

/** Above and below the values, as a share: a change that does not count must not look like one. */
const LEAST_ROOM = 0.06;

/** One dot a session, its median absolute deviation as a bar; the level of each segment as a line; changes as rules. */
export function historyChart(series: Series, colour: string): Html {
  const { points, changes, unit, suite, benchmark } = series;
  const [scale, label] = scaleOf(Math.max(...points.map(({ median: value }) => value)), unit);
  const dots = points.map((point, index) => ({
    ...point,
    index,
    y: point.median * scale,
    y1: (point.median - point.mad) * scale,
    y2: (point.median + point.mad) * scale,
  }));
  const starts = [0, ...changes.map(({ index }) => index)];
  const levels = starts.map((start, place) => {
    const end = starts[place + 1] ?? points.length;
    return { x1: start - 0.4, x2: end - 0.6, y: median(dots.slice(start, end).map(({ y }) => y)) };
  });
  const rules = changes.map(({ index, ratio, state }) => ({
    x: index - 0.5,
    text: `${ratio > 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`,
    colour: STATE_COLOURS[state],
  }));
  const [least, greatest] = [Math.min(...dots.map(({ y1 }) => y1)), Math.max(...dots.map(({ y2 }) => y2))];
  const room = Math.max(LEAST_ROOM * greatest, 0.15 * (greatest - least));
  const ticks = dateTicks(points.length);
  return drawing(
    {
      width: HALF,
      height: 190,
      ...{ marginLeft: 44, marginRight: 16, marginTop: 22, marginBottom: 30 },
      x: {
        domain: [-0.6, points.length - 0.4],
        label: null,
        ticks,
        tickFormat: (index: number) => points[index]?.date.slice(5, 10) ?? '',
      },
      y: { domain: [Math.max(0, least - room), greatest + room], label, ticks: 5 },
      marks: [
        Plot.gridY({ ...GRID, ticks: 5 }),
        Plot.ruleX(rules, { x: 'x', stroke: 'colour', strokeWidth: 1.5, strokeDasharray: '4,3' }),
        Plot.text(rules, {
          x: 'x',
          frameAnchor: 'top',
          dy: -12,
          text: 'text',
          fill: 'colour',
          fontSize: 12,
          fontWeight: 600,
        }),
        Plot.ruleY(levels, { x1: 'x1', x2: 'x2', y: 'y', stroke: colour, strokeOpacity: 0.55, strokeWidth: 2 }),
        Plot.ruleX(dots, { x: 'index', y1: 'y1', y2: 'y2', stroke: colour, strokeOpacity: 0.5 }),
        Plot.dot(dots, {
          ...{ x: 'index', y: 'y', r: 3, fill: colour },
          title: ({ date, session, median: value, commit }: (typeof dots)[number]) =>
            `${date.slice(0, 16)}, ${session}: ${formatQuantity(value, unit)}${commit === null ? '' : `, ${commit.id.slice(0, 10)}`}`,
        }),
      ],
    },
    `History of ${suite}/${benchmark} over ${points.length} sessions; ${changes.length === 0 ? 'no change' : rules.map(({ text }, index) => `${text} since ${changes[index]?.firstAfter.date.slice(0, 10)}`).join('; ')}`,
  );
}

/** At most six places, the first and the last among them. */
function dateTicks(length: number): number[] {
  const steps = Math.min(5, length - 1);
  return [
    ...new Set(Array.from({ length: steps + 1 }, (_, step) => Math.round((step * (length - 1)) / Math.max(1, steps)))),
  ];
}

/** One picture with one description; what it is made of is of no use to a screen reader. */
function drawing(options: Plot.PlotOptions, description: string): Html {
  const svg = Plot.plot({ document, style: { fontSize: '12px' }, ...options });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', description);
  return new Html(svg.outerHTML);
}
