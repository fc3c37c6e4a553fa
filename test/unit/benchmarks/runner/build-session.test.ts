/** Builds that only pretend: what is measured of them, and what does not count. */
import { describe, expect, test } from 'vitest';
import { ModeSwitch } from '../../../../benchmarks/modes.ts';
import { buildSuite, runBuildSession } from '../../../../benchmarks/runner/build-session.ts';
import { ClockWatch } from '../../../../benchmarks/runner/clock.ts';
import { Recorder } from '../../../../benchmarks/runner/recorder.ts';
import type { SessionResult } from '../../../../benchmarks/runner/run-session.ts';
import type { Span } from '../../../../benchmarks/runner/translations.ts';
import { armName } from '../../../../benchmarks/session.ts';
import { PLAIN_BUILD } from '../../../../host/build/request.ts';
import type { BuildStep } from '../../../../host/build/steps.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import type { AgentClient } from '../../../../host/index.ts';
import type { ProgressEvent } from '../../../../host/progress.ts';
import { fingerprint, OFF, WARM } from './samples.ts';

const step = (name: string, startedMs: number, completedMs: number): BuildStep =>
  ({ digest: name, name, runs: true, startedMs, completedMs }) as BuildStep;

const STEPS = [step('[1/2] RUN ./configure', 1_000, 3_000), step('[2/2] RUN make', 3_000, 4_000)];

class Builds {
  wall = 0;
  readonly caches: boolean[] = [];
  readonly notes: string[] = [];
  #cache = false;

  async run(
    build: (count: number, cache: boolean) => readonly BuildStep[],
    runs = 2,
    write?: () => Promise<void>,
  ): Promise<SessionResult> {
    const agent = {
      health: async () => ({ translator: { wanted: 'box64', active: { name: 'box64', build: 'b', proved: true } } }),
      execCounts: async () => ({ counted: true, translators: [{ name: 'box64', execs: 7 * this.caches.length }] }),
      cacheStats: async () => ({ entries: 10 * this.caches.length }),
      cacheActivity: async ({ sinceMs, untilMs }: Span) => ({ newEntries: sinceMs, reusedEntries: untilMs }),
      cacheSwitch: async ({ enabled }: { readonly enabled: boolean }) => {
        this.#cache = enabled;
        return { backend: 'dynacache', state: enabled ? 'on' : 'off' };
      },
    } as unknown as AgentClient;
    const clock = new ClockWatch({ wall: () => this.wall, monotonic: () => 0 });
    const recorder = new Recorder({
      head: { id: 'an-id', date: '2026-11-26T12:00:00.000Z', version: '0.1.0', commit: null, tier: 'full' },
      ...(write === undefined ? { file: null } : { file: 'session.json', write }),
      ...{ fingerprint: () => fingerprint, clockJumpMs: () => clock.longestMs },
    });
    const signal = new AbortController().signal;
    const onProgress = (event: ProgressEvent): void => {
      if (event.kind === 'note') this.notes.push(event.message);
    };
    return await runBuildSession({
      bench: { agent, modes: await ModeSwitch.take(agent, true), signal, onProgress },
      request: { ...PLAIN_BUILD, context: '/src', dockerfile: '/src/Dockerfile', output: { kind: 'none' } },
      ...{ arms: [OFF, WARM], runs, limitMs: 1_000, recorder, clock },
      build: async () => {
        this.caches.push(this.#cache);
        return build(this.caches.length, this.#cache);
      },
    });
  }
}

describe('builds of a user’s image', () => {
  test('that end with a full disk are told all the same', async () => {
    let written = 0;
    const { session, error } = await new Builds().run(
      () => STEPS,
      2,
      async () => {
        written += 1;
        if (written > 4) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    );
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(session).toMatchObject({ state: 'partial', reason: expect.stringContaining('no space left') });
    expect(session.measurements.length).toBeGreaterThan(0);
  });

  test('are taken in turn after an untimed one of each arm, and each step is measured', async () => {
    const builds = new Builds();
    const { session, error } = await builds.run(() => STEPS);
    expect(error).toBeNull();
    expect(builds.caches).toEqual([false, true, false, true, true, false]);
    expect(session.measurements.map((one) => `${one.benchmark} ${one.arm.dimensions.cache} ${one.values}`)).toEqual([
      ...['[1/2] RUN ./configure off 2,2', '[2/2] RUN make off 1,1', 'whole build off 3,3'],
      ...['[1/2] RUN ./configure warm 2,2', '[2/2] RUN make warm 1,1', 'whole build warm 3,3'],
    ]);
  });

  test('have as a whole what the guest counted of them', async () => {
    const { session } = await new Builds().run(() => STEPS, 1);
    expect(session.measurements.map(({ counts }) => counts)).toEqual([
      ...[[{}], [{}], [{ execs: 7 }], [{}], [{}]],
      [{ execs: 7, cacheEntriesRead: 4_990, cacheEntriesWritten: 10 }],
    ]);
  });

  test('that are too few to prove anything are said to be, with how many would do', async () => {
    const builds = new Builds();
    await builds.run(() => STEPS, 5);
    expect(builds.notes).toEqual(['5 runs in each arm can prove no difference among 3 comparisons; --runs 6 can.']);
    builds.notes.length = 0;
    await builds.run(() => STEPS, 6);
    expect(builds.notes).toEqual([]);
  });

  test('in which the clock jumps are taken again, and the session says how far it did', async () => {
    const builds = new Builds();
    const { session } = await builds.run((count) => {
      if (count === 3) builds.wall += 60_000;
      return count === 3 ? [step('[1/2] RUN ./configure', 0, 62_000)] : STEPS;
    }, 1);
    expect(builds.caches).toEqual([false, true, false, false, true]);
    expect(session.clockJumpMs).toBe(60_000);
    expect(session.measurements.find(({ benchmark }) => benchmark === 'whole build')?.values).toEqual([3]);
  });

  test('one that fails breaks every step of its arm, and no other', async () => {
    const builds = new Builds();
    const { session, error } = await builds.run((count, cache) => {
      if (cache && count > 3)
        throw new RosettaVmError('E_BUILD', { what: 'make failed.', why: 'It said so.', fix: '' });
      return STEPS;
    });
    expect(error).toBeNull();
    expect(session.rejected.map(({ benchmark, arm }) => `${benchmark} ${armName(arm)}`).sort()).toEqual(
      ['[1/2] RUN ./configure', '[2/2] RUN make', 'whole build'].map((name) => `${name} ${armName(WARM)}`),
    );
  });
});

describe('the suite of a user’s image', () => {
  test.each([
    ['/home/me/my app', '/home/me/my app/Dockerfile', null, 'build:my-app'],
    ['/app', '/app/docker/Dockerfile.slim', null, 'build:app:docker/Dockerfile.slim'],
    ['/app', '/other/Dockerfile', 'tests', 'build:app:../other/Dockerfile@tests'],
    ['/app', Buffer.from('FROM x'), null, 'build:app'],
  ])('tells it from others: %s, %s, %s', (context, dockerfile, target, suite) => {
    expect(buildSuite({ context, dockerfile, target })).toBe(suite);
  });

  test('has room in a session’s file', () => {
    expect(buildSuite({ context: `/${'a'.repeat(255)}`, dockerfile: 'Dockerfile', target: null })).toHaveLength(200);
  });
});
