/** What a terminal shows of a build under way: a state that takes the build's events, and a pure function that draws it. */
import type { BuildEvent } from '../build/build.ts';
import type { BuildStep } from '../build/steps.ts';
import type { Style } from './style.ts';
import { printable } from './table.ts';

/** Lines of output under a step that runs, as buildx shows. */
const LOG_LINES = 6;

interface ShownStep {
  readonly step: BuildStep;
  /** ms of the host's monotonic clock; the guest's own clock is another. */
  readonly since: number;
  readonly running: boolean;
  readonly lines: readonly string[];
}

export interface FrameState {
  readonly startedAt: number;
  readonly steps: ReadonlyMap<string, ShownStep>;
}

export const emptyFrame = (now: number): FrameState => ({ startedAt: now, steps: new Map() });

/** Applies an event; the state given is not changed. */
export function advanceFrame(state: FrameState, event: BuildEvent, now: number): FrameState {
  if (event.kind !== 'started' && event.kind !== 'completed' && event.kind !== 'log') return state;
  const { step } = event;
  const before = state.steps.get(step.digest);
  const shown: ShownStep = {
    step,
    since: event.kind === 'started' ? now : (before?.since ?? now),
    running: event.kind === 'log' ? (before?.running ?? true) : event.kind === 'started',
    lines: event.kind === 'log' ? [...(before?.lines ?? []), event.line].slice(-LOG_LINES) : (before?.lines ?? []),
  };
  return { ...state, steps: new Map(state.steps).set(step.digest, shown) };
}

export interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

/** Lines of a frame, none longer than the terminal is wide, and not more of them than it is high. */
export function drawFrame(state: FrameState, now: number, { columns, rows }: FrameSize, style: Style): string[] {
  const all = [...state.steps.values()];
  const done = all.filter(({ running }) => !running).length;
  const head = `[+] Building ${seconds(now - state.startedAt)} (${done}/${all.length})`;
  const lines = all.flatMap((one) => drawStep(one, now, columns, style));
  // The end is where something happens.
  return [head.slice(0, columns), ...lines.slice(-Math.max(1, rows - 2))];
}

function drawStep({ step, since, running, lines }: ShownStep, now: number, columns: number, style: Style): string[] {
  const { startedMs, completedMs, cached, error } = step;
  const took = running ? now - since : (completedMs ?? 0) - (startedMs ?? completedMs ?? 0);
  const mark = cached ? 'CACHED ' : error !== '' ? 'ERROR ' : '';
  const time = seconds(Math.max(0, took));
  const room = Math.max(8, columns - time.length - 6);
  const name = shorten(`${mark}${printable(step.name)}`, room);
  const line = ` => ${name.padEnd(room)} ${time}`;
  const painted = error !== '' ? style.red(line) : running ? line : style.dim(line);
  const output = running ? lines.map((text) => style.dim(shorten(` => => ${printable(text)}`, columns - 1))) : [];
  return [painted, ...output];
}

const shorten = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;
