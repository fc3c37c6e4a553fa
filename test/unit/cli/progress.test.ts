import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type DisplayOptions, ProgressDisplay } from '../../../host/cli/progress-display.ts';
import { type ActiveStage, advance, describeStage, rate } from '../../../host/cli/progress-line.ts';
import { PLAIN } from '../../../host/cli/style.ts';
import { renderTrace, type Trace, TraceRecorder, writeTrace } from '../../../host/cli/trace.ts';
import type { ProgressEvent } from '../../../host/progress.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const MIB = 2 ** 20;
const begin = (id: string, title = id): ProgressEvent => ({ kind: 'begin', id, title });
const bytes = (id: string, done: number, total: number): ProgressEvent => ({
  kind: 'bytes',
  id,
  doneBytes: done,
  totalBytes: total,
});
const end = (id: string, ms = 1): ProgressEvent => ({ kind: 'end', id, ms });

/** Applies events that come at the given times, ms. */
function played(events: readonly (readonly [at: number, event: ProgressEvent])[]): readonly ActiveStage[] {
  return events.reduce<readonly ActiveStage[]>((stages, [at, event]) => advance(stages, event, at), []);
}

describe('one line about a stage', () => {
  test('without bytes it says how long it has taken', () => {
    const [stage] = played([[0, begin('qemu.start', 'Starting QEMU')]]);
    expect(stage && describeStage(stage, 3200)).toBe('Starting QEMU  3.2 s');
  });

  test('with bytes it says how much, how fast and how long still', () => {
    const events = Array.from({ length: 11 }, (_, i): [number, ProgressEvent] => [
      i * 1000,
      bytes('d', i * MIB, 100 * MIB),
    ]);
    const [stage] = played([[0, begin('d', 'Downloading')], ...events]);
    expect(stage && describeStage(stage, 10_000)).toBe('Downloading  10 MiB of 100 MiB, 10 %, 1 MiB/s, 1 m 30 s left');
  });

  test('the rate is that of the last seconds, not of the whole', () => {
    const fast = Array.from({ length: 20 }, (_, i): [number, ProgressEvent] => [
      20_000 + i * 500,
      bytes('d', (i + 1) * 10 * MIB, 1000 * MIB),
    ]);
    const [stage] = played([[0, begin('d')], [1000, bytes('d', 1, 1000 * MIB)], ...fast]);
    const perSecond = (stage && rate(stage, 29_500)) ?? 0;
    expect(Math.round(perSecond / MIB)).toBe(20);
  });

  test('it never grows past the width, and an end takes the stage away', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 200 }),
        fc.nat(1e9),
        fc.integer({ min: 20, max: 200 }),
        (title, done, width) => {
          const stages = played([
            [0, begin('x', title)],
            [10, bytes('x', done, 1e9)],
          ]);
          expect(stages[0] && describeStage(stages[0], 5000, width).length).toBeLessThanOrEqual(width);
          expect(advance(stages, end('x'), 20)).toEqual([]);
        },
      ),
    );
  });

  test('events of stages that nobody began change nothing', () => {
    expect(
      played([
        [0, bytes('ghost', 1, 2)],
        [1, end('ghost')],
      ]),
    ).toEqual([]);
  });
});

describe('what is written to stderr', () => {
  let written = '';
  beforeEach(() => {
    written = '';
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    return () => vi.useRealTimers();
  });
  const display = (mode: DisplayOptions['mode']): ProgressDisplay =>
    new ProgressDisplay({ mode, style: PLAIN, stream: { write: (text) => (written += text), columns: 60 } });
  const wipe = '\r\u001b[K';

  test('on a terminal: one line, drawn over and wiped', () => {
    const { sink } = display('live');
    sink(begin('a', 'Working'));
    vi.advanceTimersByTime(200);
    sink(end('a'));
    expect(written.split(wipe)).toEqual(['', 'Working  0 ms', 'Working  100 ms', 'Working  200 ms', '']);
    expect(written).not.toContain('\n');
  });

  test('a note stays, above the live line', () => {
    const { sink } = display('live');
    sink(begin('a', 'Working'));
    sink({ kind: 'note', message: 'Look: \u001b[2J' });
    expect(written).toBe(`${wipe}Working  0 ms${wipe}Look: \\x1b[2J\n`);
  });

  test('elsewhere: a line when something begins, and one when it took long', () => {
    const { sink } = display('lines');
    sink(begin('a', 'Working'));
    sink(begin('b', 'Inner'));
    sink(end('b', 10));
    sink(end('a', 65_000));
    expect(written).toBe('Working …\nInner …\n  Working: 1 m 5 s\n');
  });

  test('a long download shows in a log that it lives, but rarely', () => {
    const { sink } = display('lines');
    sink(begin('d', 'Downloading'));
    for (let second = 1; second <= 60; second += 1) {
      vi.advanceTimersByTime(1000);
      sink(bytes('d', second * MIB, 100 * MIB));
    }
    expect(written.split('\n').length).toBeLessThan(10);
    expect(written).toMatch(/\d+ MiB of 100 MiB/);
  });

  test('silent is silent', () => {
    const { sink } = display('silent');
    sink(begin('a'));
    sink({ kind: 'note', message: 'x' });
    expect(written).toBe('');
  });
});

describe('a trace', () => {
  function recorded(): Trace {
    const recorder = new TraceRecorder('up');
    const { sink } = recorder;
    sink({ kind: 'begin', id: 'image', title: 'Image' });
    sink({ kind: 'begin', id: 'image.download', title: 'Downloading', totalBytes: 5 });
    sink(bytes('image.download', 5, 5));
    sink(end('image.download', 1500));
    sink(end('image', 2000));
    sink({ kind: 'note', message: 'not a stage' });
    sink({ kind: 'begin', id: 'agent', title: 'Waiting for the agent' });
    return recorder.finish();
  }

  test('holds every stage in its order, with depth and length; what did not end says so', () => {
    const { stages, ...rest } = recorded();
    expect(rest).toMatchObject({ schemaVersion: 1, command: 'up', version: expect.any(String) });
    expect(stages.map(({ id, ms, depth, bytes: size }) => [id, ms, depth, size])).toEqual([
      ['image', 2000, 0, null],
      ['image.download', 1500, 1, 5],
      ['agent', null, 0, null],
    ]);
  });

  test('is a table for people and a file for programs', async () => {
    const trace = { ...recorded(), totalMs: 4200 };
    const lines = renderTrace(trace).split('\n');
    expect(lines[0]).toMatch(/^STAGE +START +TIME +WHAT$/);
    expect(lines[2]).toMatch(/^ {2}image\.download +\d+ ms +1\.5 s +Downloading$/);
    expect(lines[3]).toMatch(/not ended/);
    expect(lines[4]).toMatch(/^total +4\.2 s$/);
    const file = await writeTrace(await temporaryFolder(), trace);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(trace);
  });
});
