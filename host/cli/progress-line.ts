/** What the live line says: a state that takes progress events, and pure functions that put it in words. */
import type { ProgressEvent } from '../progress.ts';
import { formatSize } from '../spec/units.ts';
import { formatDuration } from './format.ts';

interface Sample {
  readonly at: number;
  readonly doneBytes: number;
}

/** A stage that has begun and not ended. Times are ms of one monotonic clock. */
export interface ActiveStage {
  readonly id: string;
  readonly title: string;
  readonly startedAt: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Recent amounts, oldest first, for the rate. */
  readonly samples: readonly Sample[];
}

/** The rate is that of the last few seconds: long enough to be calm, short enough to follow a change. */
const RATE_WINDOW_MS = 10_000;
const SAMPLE_EVERY_MS = 200;
/** A rate over less says nothing. */
const MIN_RATE_MS = 500;

/** Applies an event to the stages under way, innermost last; the array is not changed. */
export function advance(stages: readonly ActiveStage[], event: ProgressEvent, now: number): readonly ActiveStage[] {
  switch (event.kind) {
    case 'begin':
      return [...stages, begun(event, now)];
    case 'bytes':
      return stages.map((stage) => (stage.id === event.id ? withBytes(stage, event, now) : stage));
    case 'end':
      return stages.filter(({ id }) => id !== event.id);
    case 'note':
      return stages;
  }
}

function begun(event: Extract<ProgressEvent, { kind: 'begin' }>, now: number): ActiveStage {
  const { id, title, totalBytes = 0 } = event;
  return { id, title, startedAt: now, doneBytes: 0, totalBytes, samples: [{ at: now, doneBytes: 0 }] };
}

function withBytes(stage: ActiveStage, event: Extract<ProgressEvent, { kind: 'bytes' }>, now: number): ActiveStage {
  const { doneBytes, totalBytes } = event;
  const last = stage.samples.at(-1);
  if (last !== undefined && now - last.at < SAMPLE_EVERY_MS) return { ...stage, doneBytes, totalBytes };
  const recent = stage.samples.filter(({ at }) => now - at <= RATE_WINDOW_MS);
  return { ...stage, doneBytes, totalBytes, samples: [...recent, { at: now, doneBytes }] };
}

/** Bytes per second of late, or null while that cannot be told. */
export function rate(stage: ActiveStage, now: number): number | null {
  const oldest = stage.samples.find(({ at }) => now - at <= RATE_WINDOW_MS) ?? stage.samples.at(-1);
  if (oldest === undefined || now - oldest.at < MIN_RATE_MS) return null;
  return Math.max(0, ((stage.doneBytes - oldest.doneBytes) * 1000) / (now - oldest.at));
}

/** One line about a stage, at most `width` characters: title, then bytes with rate and time left, or its age. */
export function describeStage(stage: ActiveStage, now: number, width = Number.POSITIVE_INFINITY): string {
  const detail = stage.totalBytes > 0 ? describeBytes(stage, now) : formatDuration(now - stage.startedAt);
  const room = width - detail.length - 2;
  if (room < 8) return `${stage.title}  ${detail}`.slice(0, width);
  return `${stage.title.length > room ? `${stage.title.slice(0, room - 1)}…` : stage.title}  ${detail}`;
}

function describeBytes(stage: ActiveStage, now: number): string {
  const { doneBytes, totalBytes } = stage;
  const percent = Math.min(100, Math.floor((doneBytes / totalBytes) * 100));
  const parts = [`${formatSize(doneBytes)} of ${formatSize(totalBytes)}`, `${percent} %`];
  const perSecond = rate(stage, now);
  if (perSecond !== null) {
    parts.push(`${formatSize(Math.round(perSecond))}/s`);
    if (perSecond > 0 && doneBytes < totalBytes) {
      parts.push(`${formatDuration(Math.max(1000, ((totalBytes - doneBytes) * 1000) / perSecond))} left`);
    }
  }
  return parts.join(', ');
}
