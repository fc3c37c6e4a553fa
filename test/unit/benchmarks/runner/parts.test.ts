import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { stepSeconds } from '../../../../benchmarks/runner/build-session.ts';
import { noiseFloors } from '../../../../benchmarks/runner/calibrate.ts';
import { AwakeClock, ClockWatch, JUMP_MS } from '../../../../benchmarks/runner/clock.ts';
import { cgroupCounts } from '../../../../benchmarks/runner/counts.ts';
import { readFio } from '../../../../benchmarks/runner/fio-runner.ts';
import { readSample } from '../../../../benchmarks/runner/guest-layer.ts';
import { Remaining } from '../../../../benchmarks/runner/remaining.ts';
import type { FioBenchmark } from '../../../../benchmarks/suites/schema.ts';
import { aSession, timed } from './samples.ts';

describe('what the kernel counted', () => {
  test('is read from the cgroup’s files, all devices together', () => {
    const files = {
      cpuStat: 'usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0\n',
      memoryPeak: '4096\n',
      ioStat: '259:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n7:0 rbytes=1 wbytes=2\n',
    };
    expect(cgroupCounts(files)).toEqual({
      cpuUserUsec: 20,
      cpuSystemUsec: 10,
      memoryPeakBytes: 4096,
      readBytes: 11,
      writtenBytes: 22,
    });
  });

  test('is absent where the kernel has no such file', () => {
    expect(cgroupCounts({ cpuStat: '', memoryPeak: '', ioStat: '' })).toEqual({ readBytes: 0, writtenBytes: 0 });
  });
});

describe('what the guest’s script prints', () => {
  const text = [
    '# span\n100 200\n# cpu.stat\nuser_usec 7\nsystem_usec 3\n# memory.peak\n9\n# io.stat\n',
    `# product\n${'ab'.repeat(32)}  -\n# hyperfine\n${JSON.stringify({ results: [timed(0.5)] })}\n`,
  ].join('');

  test('is a sample', () => {
    expect(readSample(text)).toMatchObject({
      value: 0.5,
      product: 'ab'.repeat(32),
      sinceMs: 100,
      untilMs: 200,
      counts: { cpuUserUsec: 7, cpuSystemUsec: 3, memoryPeakBytes: 9 },
    });
  });

  test('cut off anywhere, it is a sample with its time or an error', () => {
    fc.assert(
      fc.property(fc.nat(text.length), (end) => {
        try {
          expect(readSample(text.slice(0, end)).value).toBe(0.5);
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_INVALID' });
        }
      }),
    );
  });
});

describe('fio’s result', () => {
  /** Of one direction, as fio has it. */
  const moved = (io_bytes: number, runtime = 5_000, iops = io_bytes / 4096) => ({
    ...{ io_bytes, runtime, iops, bw_bytes: 4096 * iops },
  });
  const output = (...jobs: (readonly [read: object, write: object, error?: number])[]): string =>
    JSON.stringify({ jobs: jobs.map(([read, write, error = 0]) => ({ error, read, write })) });
  const benchmark = (options: FioBenchmark['options'], metric: FioBenchmark['metric'] = 'iops') => ({
    ...{ metric, options: { bs: '4k', size: '1m', runtime: 5, ...options } },
  });
  const NONE = moved(0, 0);

  test('is the sum of all jobs and both directions', () => {
    const text = `fio: a warning\n${output([moved(8192), moved(4096)], [moved(4096), moved(8192)])}`;
    const work = { rw: 'randrw', time_based: 1, numjobs: 2 };
    expect(readFio(text, benchmark(work))).toBe(6);
    expect(readFio(text, benchmark(work, 'bandwidth'))).toBe(6 * 4096);
  });

  test('of a job that failed does not count', () => {
    expect(() => readFio(output([NONE, moved(4096), 28]), benchmark({ rw: 'randwrite', time_based: 1 }))).toThrow(
      expect.objectContaining({ code: 'E_VERIFY', why: 'It reports error 28 (errno(3)).' }),
    );
  });

  test.each([
    ['nothing was written', { rw: 'write' }, NONE, NONE],
    ['it read instead', { rw: 'write' }, moved(2 ** 20), NONE],
    ['one direction of two was left out', { rw: 'randrw', time_based: 1 }, moved(4096), NONE],
    ['it ended before its time', { rw: 'randwrite', time_based: 1 }, NONE, moved(2 ** 20, 1_000)],
    ['it ended before its files and its time', { rw: 'write' }, NONE, moved(2 ** 19, 1_000)],
  ])('does not count where %s', (_what, options, read, write) => {
    expect(() => readFio(output([read, write]), benchmark(options))).toThrow(
      expect.objectContaining({ code: 'E_VERIFY' }),
    );
  });

  test('counts where all was written before the time was over, or the time was over before all was', () => {
    // As of 2,300 bytes a request: the last part of a file is left out.
    const whole = benchmark({ rw: 'write', bs: '2300' });
    expect(readFio(output([NONE, moved(2 ** 20 - 2_000, 1_000, 7)]), whole)).toBe(7);
    expect(readFio(output([NONE, moved(4096, 5_001, 7)]), whole)).toBe(7);
  });

  test('that is none is invalid', () => {
    expect(() => readFio('fio: not found', benchmark({ rw: 'write' }))).toThrow(
      expect.objectContaining({ code: 'E_INVALID' }),
    );
  });
});

describe('the clock', () => {
  test('a jump in either direction is noticed once, and the longest is remembered', () => {
    let wall = 1_000_000;
    let monotonic = 0;
    const watch = new ClockWatch({ wall: () => wall, monotonic: () => monotonic });
    wall += 5_000;
    monotonic += 5_000;
    expect(watch.look()).toBe(0);
    wall -= 60_000;
    expect(watch.look()).toBe(60_000);
    expect(watch.look()).toBe(0);
    wall += 3_000;
    expect(watch.look()).toBe(3_000);
    expect(watch.longestMs).toBe(60_000);
  });
});

describe('a computer whose monotonic clock goes on in its sleep', () => {
  test('its time asleep is no time awake, and shows as a jump', () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    let asleep = 0;
    const now = (): number => performance.now() + asleep;
    const awake = new AwakeClock(now);
    const watch = new ClockWatch({ wall: () => 1_000_000 + now(), monotonic: () => awake.read() });
    vi.advanceTimersByTime(3_600_000);
    expect(watch.look()).toBe(0);
    asleep = 60_000;
    vi.advanceTimersByTime(10_000);
    const jump = watch.look();
    expect(jump).toBeGreaterThan(JUMP_MS);
    expect(jump).toBeLessThanOrEqual(60_000);
    vi.advanceTimersByTime(10_000);
    expect(watch.look()).toBe(0);
  });
});

describe('the time that is left', () => {
  test('is not known before the first sample, then told by kind', () => {
    const remaining = new Remaining();
    remaining.plan('fast', 2);
    remaining.plan('slow', 3);
    expect(remaining.text).toBe('');
    remaining.took('fast', 1_000);
    // The slow kind is taken to cost what is known.
    expect(remaining.ms).toBe(4_000);
    remaining.took('slow', 10_000);
    expect(remaining.ms).toBe(21_000);
    expect(remaining.text).toBe(', about 21.0 s to go');
    remaining.drop('slow');
    expect(remaining.ms).toBe(1_000);
  });
});

describe('calibration', () => {
  test('equal halves have no noise; a side that is always slower shows', () => {
    const same = aSession({ values: Array.from({ length: 12 }, () => 2) });
    expect([...noiseFloors(same, 2)]).toEqual([
      ['exec/true cache=off,translator=box64', { floor: 0, rounds: 3, runs: 2, date: same.date }],
    ]);
    // As ABBA deals them: the second and third of four are the other side.
    const uneven = aSession({ values: Array.from({ length: 12 }, (_, i) => (i % 4 === 1 || i % 4 === 2 ? 2.2 : 2)) });
    expect([...noiseFloors(uneven, 2).values()][0]?.floor).toBeCloseTo(0.1, 5);
  });

  test('too few samples, or a broken arm, have no floor', () => {
    expect(noiseFloors(aSession({ values: [1, 1, 1, 1] }), 2).size).toBe(0);
    expect(noiseFloors(aSession({ values: Array.from({ length: 12 }, () => 2), rejected: 1 }), 2).size).toBe(0);
  });
});

describe('a user’s build', () => {
  test('steps that start programs are measured, and the whole', () => {
    const step = (name: string, runs: boolean, startedMs?: number, completedMs?: number) => ({
      ...{ number: 1, digest: name, name, runs, cached: false, error: '', log: '', doneBytes: 0, totalBytes: 0 },
      ...(startedMs === undefined ? {} : { startedMs }),
      ...(completedMs === undefined ? {} : { completedMs }),
    });
    const seconds = stepSeconds([
      step('[1/3] FROM base', false, 1_000, 2_000),
      step('[2/3] RUN make', true, 2_000, 5_500),
      step('[3/3] RUN cached', true),
    ]);
    expect(Object.fromEntries(seconds)).toEqual({ '[2/3] RUN make': 3.5, 'whole build': 4.5 });
  });
});
