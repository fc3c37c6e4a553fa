/** A whole session with benchmarks that only pretend to work: the order, the rounds, and what ends it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bench, BenchmarkRunner, Sample } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { ClockWatch } from '../../../../benchmarks/runner/clock.ts';
import { Recorder } from '../../../../benchmarks/runner/recorder.ts';
import { type Planned, runSession, type SessionResult } from '../../../../benchmarks/runner/run-session.ts';
import { type Arm, armName, type Fingerprint, type Session, sessionSchema } from '../../../../benchmarks/session.ts';
import { parseSuite } from '../../../../benchmarks/suites/schema.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import type { ProgressEvent } from '../../../../host/progress.ts';
import { fingerprint, NATIVE, OFF, timed, WARM } from './samples.ts';

const suite = parseSuite(
  {
    suite: 'exec',
    title: 'Programs',
    trees: { small: ['coreutils'] },
    benchmarks: ['one', 'two'].map((id) => ({
      ...{ id, kind: 'command', title: id, tier: 'quick', tree: 'small', command: ['/bin/true'], limitSeconds: 10 },
    })),
  },
  'exec.yaml',
);

type Behaviour = (arm: Arm, count: number, benchmark: string) => Sample | Promise<Sample>;

const seconds = (value: number, product = 'ab'.repeat(32)): Sample => ({
  ...{ value, product, counts: { execs: 1 } },
  timed: timed(value),
});

const failure = (code: 'E_EXEC' | 'E_VM_FAILED' | 'E_ABORTED' | 'E_NETWORK'): RosettaVmError =>
  new RosettaVmError(code, { what: 'It failed.', why: 'The test wants it.', fix: '' });

interface Run extends SessionResult {
  /** Arms in the order of their samples, warm-ups too. */
  readonly order: readonly string[];
  readonly notes: readonly string[];
  /** Null when it was never written. */
  readonly file: Session | null;
  readonly restored: boolean;
  readonly disposed: number;
}

interface Setting {
  readonly arms?: readonly Arm[];
  readonly runs?: number | null;
  readonly warmUps?: number;
  readonly alive?: () => Promise<unknown>;
  readonly clock?: ClockWatch;
  readonly accelerator?: Fingerprint['accelerator'];
  readonly now?: () => number;
  readonly prepare?: () => Promise<void>;
  readonly write?: (file: string, content: string) => Promise<void>;
}

async function run(behaviour: Behaviour, setting: Setting = {}): Promise<Run> {
  const { arms = [OFF, WARM, NATIVE], runs = 1, warmUps = 0, write, accelerator = 'tcg', now } = setting;
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-bench-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'session.json');
  const order: string[] = [];
  let restored = false;
  let disposed = 0;
  const notes: string[] = [];
  const bench = {
    agent: { health: setting.alive ?? (() => Promise.resolve()) },
    modes: {
      restore: async () => {
        restored = true;
      },
    },
    signal: new AbortController().signal,
    onProgress: (event: ProgressEvent) => {
      if (event.kind === 'note') notes.push(event.message);
    },
  } as unknown as Bench;
  const clock = setting.clock ?? new ClockWatch();
  const recorder = new Recorder({
    head: { id: 'an-id', date: '2026-11-26T12:00:00.000Z', version: '0.1.0', commit: null, tier: 'quick' },
    ...{ file, fingerprint: () => ({ ...fingerprint, accelerator }), clockJumpMs: () => clock.longestMs },
    ...(write === undefined ? {} : { write }),
  });
  const prepare = async ({ chosen }: Planned): Promise<BenchmarkRunner> => {
    await setting.prepare?.();
    const counts = new Map<string, number>();
    return {
      ...{ unit: 'seconds', smallerIsBetter: true, warmUps },
      sample: async (arm) => {
        const name = `${chosen.benchmark.id} ${armName(arm)}`;
        order.push(name);
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return await behaviour(arm, counts.get(name) ?? 0, chosen.benchmark.id);
      },
      dispose: async () => {
        disposed += 1;
      },
    };
  };
  const planned = suite.benchmarks.map((benchmark) => ({ chosen: { suite, benchmark }, arms }));
  const result = await runSession({
    ...{ bench, planned, tier: 'quick', runs, recorder, clock, noiseFloor: () => null },
    prepare: (_bench, one) => prepare(one),
    ...(now === undefined ? {} : { now }),
  });
  const text = await readFile(file, 'utf8').catch(() => null);
  return {
    ...result,
    order,
    notes,
    restored,
    disposed,
    file: text === null ? null : sessionSchema.parse(JSON.parse(text)),
  };
}

describe('a session', () => {
  test('is complete, in its file as it is answered, and leaves the machine as it was', async () => {
    const { session, file, error, restored, disposed } = await run(() => seconds(1));
    expect(error).toBeNull();
    expect(session.state).toBe('complete');
    expect(file).toEqual(session);
    expect({ restored, disposed }).toEqual({ restored: true, disposed: 2 });
    expect(session.results.map(({ parameters }) => parameters)).toContainEqual({
      ...{ suite: 'exec', benchmark: 'one', cache: 'warm', translator: 'box64', command: 'true' },
    });
  });

  test('names each result for itself, as readers of hyperfine’s files tell them apart by the command', async () => {
    const { session } = await run(() => seconds(1));
    const named = session.results.map(({ command }) => command);
    expect(named).toContain('exec/one cache=warm,translator=box64');
    expect(new Set(named).size).toBe(6);
  });

  test('samples are interleaved, forwards and backwards in turn, after one untimed run of each', async () => {
    const { order } = await run(() => seconds(1), { runs: 2, warmUps: 1, arms: [OFF, WARM] });
    const [off, warm] = [`one ${armName(OFF)}`, `one ${armName(WARM)}`];
    expect(order.slice(0, 6)).toEqual([off, warm, off, warm, warm, off]);
  });

  test('arms that clearly differ need no more than the rounds that prove it', async () => {
    let count = 0;
    const noisy: Behaviour = ({ dimensions }) => {
      count += 1;
      return seconds((dimensions.cache === 'off' ? 2 : 1) * (1 + (count % 7) / 1000));
    };
    const { session } = await run(noisy, { runs: null, arms: [OFF, WARM] });
    const rounds = session.measurements.flatMap((one) => one.rounds);
    expect(Math.max(...rounds)).toBe(2);
  });

  test('a benchmark with a single arm is measured as often as a comparison with a later session needs', async () => {
    const { session } = await run((_arm, count) => seconds(1 + (count % 3) / 1000), { runs: null, arms: [OFF] });
    // Two rows: six against six could tell; five could not.
    expect(session.measurements.map(({ values }) => values.length)).toEqual([10, 10]);
    const once = await run(() => seconds(1), { runs: 5, arms: [OFF] });
    expect(once.session.measurements.map(({ values }) => values.length)).toEqual([5, 5]);
  });

  test('arms that nobody can tell apart are measured in four rounds and no more', async () => {
    // A spread of 60 %, without a difference between the arms.
    const wild: Behaviour = (_arm, count) => seconds(1 + 0.6 * ((count * 7) % 5));
    const { session } = await run(wild, { runs: null, arms: [OFF, WARM] });
    expect(session.measurements.map(({ rounds }) => Math.max(...rounds))).toEqual([4, 4, 4, 4]);
    expect(session.measurements[0]?.values).toHaveLength(20);
  });
});

describe('the time of the quick tier', () => {
  /** Nobody can tell the arms apart; a sample of `two` takes ten times as long as one of `one`. */
  const slowly = async (secondsOfOne: number, accelerator: Fingerprint['accelerator']): Promise<Run> => {
    let now = 0;
    const wild: Behaviour = (_arm, count, benchmark) => {
      now += 1_000 * secondsOfOne * (benchmark === 'one' ? 1 : 10);
      return seconds(1 + 0.6 * ((count * 7) % 5));
    };
    return await run(wild, { runs: null, arms: [OFF, WARM], accelerator, now: () => now });
  };
  const roundsOf = ({ session }: Run): number[] => session.measurements.map(({ rounds }) => Math.max(...rounds));

  test('keeps long benchmarks from another round, and says so', async () => {
    // A round of `one` takes 10 s, of `two` 100 s: both once, then `one` again as often as it may.
    const found = await slowly(1, 'kvm');
    expect(roundsOf(found)).toEqual([4, 4, 1, 1]);
    expect(found.notes).toEqual([
      'The time of the tier quick is over: exec/two would need more runs (--tier standard).',
    ]);
  });

  test('never keeps a benchmark from its first', async () => {
    expect(roundsOf(await slowly(100, 'vz'))).toEqual([1, 1, 1, 1]);
  });

  test('is none on an emulated CPU', async () => {
    expect(roundsOf(await slowly(100, 'tcg'))).toEqual([4, 4, 4, 4]);
  });
});

describe('what does not count', () => {
  test('an arm that fails is broken, told, not tried again, and hurts no other', async () => {
    const { session, error, order } = await run(
      ({ dimensions }) => {
        if (dimensions.cache === 'warm') throw failure('E_EXEC');
        return seconds(1);
      },
      { runs: 3 },
    );
    expect(error).toBeNull();
    expect(session.rejected.map(({ benchmark, arm }) => `${benchmark} ${armName(arm)}`)).toEqual([
      `one ${armName(WARM)}`,
      `two ${armName(WARM)}`,
    ]);
    expect(order.filter((one) => one === `one ${armName(WARM)}`)).toHaveLength(1);
    expect(session.measurements.map(({ arm }) => armName(arm))).not.toContain(armName(WARM));
  });

  test('another product than the first one of the same architecture', async () => {
    const { session } = await run((arm) =>
      seconds(1, arm.native ? 'cd'.repeat(32) : arm.dimensions.cache === 'warm' ? 'ef'.repeat(32) : 'ab'.repeat(32)),
    );
    expect(session.rejected.map(({ arm, reason }) => [armName(arm), reason])).toEqual([
      [armName(WARM), expect.stringContaining('something else')],
      [armName(WARM), expect.stringContaining('something else')],
    ]);
  });

  test('an untimed run that makes something else than the first one', async () => {
    const { session, order } = await run(
      (arm, count) => seconds(1, arm === WARM && count === 1 ? 'ef'.repeat(32) : 'ab'.repeat(32)),
      { warmUps: 1, arms: [OFF, WARM] },
    );
    expect(session.rejected.map(({ arm }) => armName(arm))).toEqual([armName(WARM), armName(WARM)]);
    expect(order.filter((one) => one === `one ${armName(WARM)}`)).toHaveLength(1);
  });

  test('a benchmark that cannot be prepared, in all of its arms', async () => {
    const { session, error } = await run(() => seconds(1), { prepare: () => Promise.reject(failure('E_NETWORK')) });
    expect(error).toBeNull();
    expect(session.measurements).toEqual([]);
    expect(session.rejected).toHaveLength(6);
  });
});

describe('a clock that jumps', () => {
  let wall = 0;
  const jumpy = (): ClockWatch => new ClockWatch({ wall: () => wall, monotonic: () => 0 });

  test('in a sample: that one is taken again, also when it failed for it, and the session says how far', async () => {
    const { session, order } = await run(
      (arm, count) => {
        if (arm !== WARM || count > 1) return seconds(1);
        wall += 60_000;
        throw failure('E_EXEC');
      },
      { clock: jumpy(), arms: [OFF, WARM] },
    );
    expect(order.slice(0, 3)).toEqual([`one ${armName(OFF)}`, `one ${armName(WARM)}`, `one ${armName(WARM)}`]);
    expect(session).toMatchObject({ rejected: [], clockJumpMs: 60_000 });
    expect(session.measurements.map(({ values }) => values)).toEqual([[1], [1], [1], [1]]);
  });

  test('in every try: the arm is broken, and no such time is kept', async () => {
    const { session, error, order } = await run(
      (arm) => {
        if (arm === WARM) wall += 3_000;
        return seconds(1);
      },
      { clock: jumpy(), arms: [OFF, WARM], runs: 2 },
    );
    expect(error).toBeNull();
    expect(order.filter((one) => one === `one ${armName(WARM)}`)).toHaveLength(3);
    expect(session.rejected.map(({ arm, reason }) => [armName(arm), reason])).toEqual([
      [armName(WARM), expect.stringContaining('The computer slept')],
      [armName(WARM), expect.stringContaining('The computer slept')],
    ]);
    expect(session.measurements.map(({ arm }) => arm)).toEqual([OFF, OFF]);
  });

  test('while the user stops it: nothing is taken again', async () => {
    const { error, order } = await run(
      () => {
        wall += 60_000;
        throw failure('E_ABORTED');
      },
      { clock: jumpy() },
    );
    expect(error).toMatchObject({ code: 'E_ABORTED' });
    expect(order).toHaveLength(1);
  });
});

describe('what ends a session early', () => {
  const afterOne =
    (thrown: RosettaVmError): Behaviour =>
    (_arm, count) => {
      if (count > 1) throw thrown;
      return seconds(1);
    };

  test.each(['E_VM_FAILED', 'E_ABORTED'] as const)('%s keeps what was measured, marked partial', async (code) => {
    const { session, file, error, restored, disposed } = await run(afterOne(failure(code)), { runs: 2 });
    expect(error).toMatchObject({ code });
    expect(file).toEqual(session);
    expect(file).toMatchObject({ state: 'partial', reason: 'It failed. The test wants it.' });
    expect(file?.measurements).toHaveLength(3);
    expect(file?.rejected).toEqual([]);
    expect({ restored, disposed }).toEqual({ restored: true, disposed: 1 });
  });

  test('a program that failed because its machine went away is no broken arm', async () => {
    const alive = () => Promise.reject(failure('E_VM_FAILED'));
    const { session, error } = await run(afterOne(failure('E_EXEC')), { runs: 2, alive });
    expect(error).toMatchObject({ code: 'E_VM_FAILED' });
    expect(session.rejected).toEqual([]);
  });

  test('a full disk: the file stays as it was after the last benchmark', async () => {
    const written: string[] = [];
    const { error, session } = await run(() => seconds(1), {
      write: async (_file, content) => {
        if (written.length === 2) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        written.push(content);
      },
    });
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(session.state).toBe('partial');
    const last = sessionSchema.parse(JSON.parse(written.at(-1) ?? ''));
    expect(last.state).toBe('partial');
    expect(last.measurements.map(({ benchmark }) => benchmark)).toEqual(['one', 'one', 'one']);
  });

  test('a disk that is full at the very end: what was measured is told, and partial', async () => {
    const { error, session } = await run(() => seconds(1), {
      write: async (_file, content) => {
        if (sessionSchema.parse(JSON.parse(content)).state === 'partial') return;
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    });
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(session).toMatchObject({ state: 'partial', reason: expect.stringContaining('no space left') });
  });
});
