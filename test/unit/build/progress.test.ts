/** buildx's rawjson, as versions write it and as it must not be trusted, and the steps that come of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RawProgress, RawProgressParser } from '../../../host/build/raw-progress.ts';
import { BuildSteps, type StepEvent } from '../../../host/build/steps.ts';
import { run, START } from './messages.ts';

const BUILD = [
  { vertexes: [{ digest: 'sha256:1', name: '[internal] load build definition from Dockerfile', started: START }] },
  { vertexes: [run('sha256:2', '[2/2] RUN make', { started: START })] },
  { logs: [{ vertex: 'sha256:2', stream: 1, data: Buffer.from('cc a.c\nü').toString('base64'), timestamp: START }] },
  { statuses: [{ id: 'x', vertex: 'sha256:1', current: 5, total: 10, timestamp: START }] },
  { vertexes: [run('sha256:2', '[2/2] RUN make', { started: START, completed: '2026-01-01T00:00:02.5Z' })] },
];

const parse = (pieces: readonly Buffer[]): RawProgress[] => {
  const parser = new RawProgressParser();
  return [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
};
const compact = BUILD.map((one) => `${JSON.stringify(one)}\n`).join('');
const indented = BUILD.map((one) => `${JSON.stringify(one, null, 2)}\n`).join('');

function eventsOf(text: string): StepEvent[] {
  const steps = new BuildSteps();
  return parse([Buffer.from(text)]).flatMap((one) => (one.kind === 'message' ? steps.take(one.message) : []));
}

describe('the stream', () => {
  test('reads the same from indented and from compact messages', () => {
    const read = parse([Buffer.from(compact)]);
    expect(read).toHaveLength(BUILD.length);
    expect(parse([Buffer.from(indented)])).toEqual(read);
  });

  test('reads the same however it is cut', () => {
    const whole = parse([Buffer.from(indented)]);
    fc.assert(
      fc.property(fc.array(fc.nat(indented.length), { maxLength: 20 }), (cuts) => {
        const bytes = Buffer.from(indented);
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        expect(parse(ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)))).toEqual(whole);
      }),
    );
  });

  test('text around messages is text, and so is what only looks like a message', () => {
    const text = 'Dockerfile:3\n{\n  "vertexes": "none"\n}\n{ broken\nERROR: failed to solve: x';
    expect(parse([Buffer.from(text)]).map((one) => (one.kind === 'text' ? one.line : ''))).toEqual(text.split('\n'));
  });

  test('a line without end is refused before it fills the memory', () => {
    expect(() => parse(Array.from({ length: 5 }, () => Buffer.alloc(1024 * 1024, 'x')))).toThrow(
      expect.objectContaining({ code: 'E_PROTOCOL' }),
    );
  });

  test('any bytes are read without failing', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('{', '}', '\n', '  ', '"vertexes"', ':', '[', ']', 'x')), (parts) => {
        const text = parts.join('');
        const read = parse([Buffer.from(text)]);
        const lines = read.flatMap((one) => (one.kind === 'text' ? [one.line] : []));
        expect(lines.join('').length).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

describe('steps', () => {
  test('begin, speak line by line, and end', () => {
    const events = eventsOf(compact).map((event) =>
      event.kind === 'log'
        ? `log ${event.line}`
        : event.kind === 'warning'
          ? event.text
          : `${event.kind} ${event.step.number}`,
    );
    expect(events).toEqual(['started 1', 'started 2', 'log cc a.c', 'log ü', 'completed 2']);
  });

  test('know whether they run programs, how long they took, and what was sent', () => {
    const steps = new BuildSteps();
    for (const one of parse([Buffer.from(compact)])) if (one.kind === 'message') steps.take(one.message);
    const [load, make] = steps.list();
    expect(load).toMatchObject({ runs: false, doneBytes: 5, totalBytes: 10 });
    expect(make).toMatchObject({ runs: true, log: 'cc a.c\nü' });
    expect((make?.completedMs ?? 0) - (make?.startedMs ?? 0)).toBe(2500);
  });

  test('are numbered in the order in which they begin', () => {
    const steps = new BuildSteps();
    const message = (vertexes: object[]): void => {
      for (const one of parse([Buffer.from(`${JSON.stringify({ vertexes })}\n`)])) {
        if (one.kind === 'message') steps.take(one.message);
      }
    };
    message([run('b', '[3/3] RUN b', {}), run('a', '[2/3] RUN a', {})]);
    expect(steps.list()).toEqual([]);
    message([run('a', '[2/3] RUN a', { started: START })]);
    message([run('b', '[3/3] RUN b', { cached: true, started: START, completed: START })]);
    expect(steps.list().map(({ name }) => name)).toEqual(['[2/3] RUN a', '[3/3] RUN b']);
  });

  test('keep only the end of what they print', () => {
    const data = Buffer.alloc(100_000, 'y').toString('base64');
    const log = { logs: [{ vertex: 'sha256:2', data }] };
    const steps = new BuildSteps();
    const text = `${JSON.stringify(BUILD[1])}\n${`${JSON.stringify(log)}\n`.repeat(3)}`;
    for (const one of parse([Buffer.from(text)])) if (one.kind === 'message') steps.take(one.message);
    expect(steps.list()[0]?.log.length).toBe(64 * 1024);
  });
});
