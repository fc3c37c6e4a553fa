/** What people see of a build, on a terminal and in a log. */
import { describe, expect, test } from 'vitest';
import type { BuildEvent } from '../../../host/build/build.ts';
import { BuildDisplay, plainLines } from '../../../host/cli/build-display.ts';
import { advanceFrame, drawFrame, emptyFrame } from '../../../host/cli/build-frame.ts';
import { PLAIN } from '../../../host/cli/style.ts';
import { step } from './messages.ts';

const SIZE = { columns: 60, rows: 10 };
const running = step({ completedMs: 0 });

const frameAfter = (events: readonly BuildEvent[], now: number): string[] =>
  drawFrame(
    events.reduce((state, event) => advanceFrame(state, event, 1000), emptyFrame(0)),
    now,
    SIZE,
    PLAIN,
  );

describe('a frame', () => {
  test('shows a step that runs with its age and the end of its output', () => {
    const logs = Array.from(
      { length: 9 },
      (_, index): BuildEvent => ({ kind: 'log', step: running, line: `l${index}` }),
    );
    const lines = frameAfter([{ kind: 'started', step: running }, ...logs], 4500);
    expect(lines[0]).toBe('[+] Building 4.5s (0/1)');
    expect(lines[1]).toMatch(/^ => \[2\/2\] RUN make +3\.5s$/);
    expect(lines.slice(2)).toEqual(['l3', 'l4', 'l5', 'l6', 'l7', 'l8'].map((line) => ` => => ${line}`));
  });

  test('shows what an ended step took, by the guest’s clock, and how it ended', () => {
    const ended = (change: object): string =>
      frameAfter([{ kind: 'completed', step: step(change) }], 9000)[1]?.replace(/ +/g, ' ') ?? '';
    expect(ended({})).toBe(' => [2/2] RUN make 2.0s');
    expect(ended({ cached: true })).toBe(' => CACHED [2/2] RUN make 2.0s');
    expect(ended({ error: 'x' })).toBe(' => ERROR [2/2] RUN make 2.0s');
  });

  test('fits the terminal whatever the steps are called and print', () => {
    const events = Array.from({ length: 30 }, (_, index): BuildEvent => {
      const one = step({ digest: `${index}`, name: `RUN ${'x'.repeat(200)}\u001b[2J` });
      return { kind: 'log', step: one, line: `${'y'.repeat(200)}\u0007` };
    });
    const lines = frameAfter(events, 2000);
    expect(lines.length).toBeLessThanOrEqual(SIZE.rows);
    for (const line of lines) {
      expect(line.length).toBeLessThanOrEqual(SIZE.columns);
      expect(line).not.toMatch(/\p{Cc}/u);
    }
  });
});

describe('plain lines', () => {
  test('are those of docker build', () => {
    expect(plainLines({ kind: 'started', step: running })).toEqual(['#5 [2/2] RUN make']);
    expect(plainLines({ kind: 'log', step: running, line: 'cc a.c' })).toEqual(['#5 cc a.c']);
    expect(plainLines({ kind: 'completed', step: step() })).toEqual(['#5 DONE 2.0s']);
    expect(plainLines({ kind: 'completed', step: step({ cached: true }) })).toEqual(['#5 CACHED [2/2] RUN make']);
    expect(plainLines({ kind: 'completed', step: step({ error: 'exit code: 1' }) })).toEqual([
      '#5 ERROR: exit code: 1',
    ]);
  });
});

describe('each form of progress', () => {
  function shown(mode: 'plain' | 'rawjson' | 'quiet' | 'tty'): string {
    let text = '';
    const display = new BuildDisplay({
      stream: { write: (data) => (text += String(data)), columns: 60, rows: 10 },
      style: PLAIN,
      mode,
    });
    const condition = { cache: true, translator: null };
    display.take({ kind: 'begin', condition });
    display.take({ kind: 'started', step: running });
    display.take({ kind: 'raw', piece: Buffer.from('{"vertexes":[]}\n') });
    display.take({ kind: 'completed', step: step() });
    display.take({ kind: 'end', condition });
    display.take({ kind: 'note', text: 'tried again' });
    display.close();
    return text;
  }

  test('tells what a person must know', () => {
    for (const mode of ['plain', 'rawjson', 'quiet', 'tty'] as const) {
      expect(shown(mode)).toContain('rosetta-vm: tried again\n');
    }
  });

  test('has its own content besides', () => {
    expect(shown('quiet')).toBe('rosetta-vm: tried again\n');
    expect(shown('rawjson')).toBe('{"vertexes":[]}\nrosetta-vm: tried again\n');
    expect(shown('plain')).toContain('#5 DONE 2.0s\n');
    expect(shown('tty')).toContain('[+] Building');
  });
});
