/** `bench` in a real machine: a tiny session, one that is interrupted, one whose machine stops. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { armName, type Measurement, type Session, sessionSchema } from '../../benchmarks/session.ts';
import { packageFile } from '../../host/package-root.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { type CommandOutcome, machines, runInGuest, sharedAgent, sharedMachine } from './support.ts';

/** The first session makes two Debian trees in an emulated guest. */
const LIMIT_MS = 900_000;
const STOPPING = 'bench-stop';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-bench-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly outcome: Promise<CommandOutcome>;
  /** Resolves when this stands in what it says to people. */
  said(text: string): Promise<void>;
}

/** The built program, as a user starts it without a terminal. */
function bench(args: readonly string[]): Running {
  const child = spawn(process.execPath, [packageFile('dist/bench.js'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const outcome = once(child, 'close').then(([status]) => ({ status: status as number | null, stdout, stderr }));
  const said = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) {
      const next = await Promise.race([once(child.stderr, 'data'), outcome]);
      if (!Array.isArray(next)) throw new Error(`It ended without “${text}”: ${stderr}`);
    }
  };
  return { child, outcome, said };
}

const readSession = async (file: string): Promise<Session> =>
  sessionSchema.parse(JSON.parse(await readFile(file, 'utf8')));

describe('a session', () => {
  test(
    'measures a program in each arm, with what the kernel, the router and the cache counted',
    async () => {
      const out = path.join(folder, 'perl.json');
      const args = ['-m', sharedMachine(), '--benchmark', 'perl', '--runs', '2', '--out', out];
      const { status, stdout, stderr } = await bench(args).outcome;
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(/^exec\/perl +native arm64 +2 /m);
      const session = await readSession(out);
      expect(session).toMatchObject({ state: 'complete', rejected: [], fingerprint: { disk: 'nvme, file' } });
      const arm = (name: string): Measurement => {
        const found = session.measurements.find((one) => armName(one.arm).startsWith(name));
        if (found === undefined) throw new Error(`There is no arm ${name}.`);
        return found;
      };
      const [off, warm, native] = [arm('cache=off'), arm('cache=warm'), arm('native')];
      expect(off.product).toBe(warm.product);
      for (const { values, counts } of [off, warm, native]) {
        expect(values).toHaveLength(2);
        for (const one of counts) {
          // The sum is exact; a tick of 4 ms decides whose each is, and so a short program's may all be the system's.
          expect((one.cpuUserUsec ?? 0) + (one.cpuSystemUsec ?? 0)).toBeGreaterThan(0);
          expect(one.memoryPeakBytes).toBeGreaterThan(0);
        }
      }
      expect(off.counts.map(({ execs }) => execs)).toEqual([1, 1]);
      expect(native.counts[0]).not.toHaveProperty('execs');
      expect(off.counts[0]).not.toHaveProperty('cacheEntriesRead');
      expect(warm.counts[0]?.cacheEntriesRead).toBeGreaterThan(0);
      expect(session.results).toHaveLength(3);
    },
    LIMIT_MS,
  );

  test(
    'leaves the machine as it was: nothing on its disk but the trees, and its own mode',
    async () => {
      const agent = await sharedAgent();
      const { stdout } = await runInGuest(agent, ['sh', '-c', 'ls /data/bench; ls -d /sys/fs/cgroup/rosetta-vm-bench']);
      expect(stdout).toBe('');
      expect((await agent.health()).cache.state).toBe('on');
    },
    LIMIT_MS,
  );

  test(
    'measures what lies between host and guest',
    async () => {
      const out = path.join(folder, 'channel.json');
      const { status, stderr } = await bench(['-m', sharedMachine(), '--suite', 'channel', '--runs', '1', '--out', out])
        .outcome;
      expect(status, stderr).toBe(0);
      const { measurements } = await readSession(out);
      expect(measurements).toHaveLength(8);
      for (const { values } of measurements) expect(values[0]).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});

describe('a user’s own image', () => {
  test(
    'is built in each arm, and its steps are measured',
    async () => {
      // The guest's own static busybox runs in an image of any platform, so that no base image is needed.
      const session = await (await sharedAgent()).exec({ argv: ['cat', '/bin/busybox'], stdin: false });
      session.stderr.resume();
      const context = path.join(folder, 'image');
      await mkdir(path.join(context, 'bin'), { recursive: true });
      await writeFile(path.join(context, 'bin/sh'), await buffer(session.stdout), { mode: 0o755 });
      await writeFile(path.join(context, 'Dockerfile'), 'FROM scratch\nCOPY bin /bin\nRUN echo made > /file\n');
      const out = path.join(folder, 'build.json');
      const { status, stderr } = await bench(['build', '-m', sharedMachine(), '--runs', '1', '--out', out, context])
        .outcome;
      expect(status, stderr).toBe(0);
      const { measurements, state } = await readSession(out);
      expect(state).toBe('complete');
      expect([...new Set(measurements.map(({ suite }) => suite))]).toEqual(['build:image']);
      const names = measurements.map(({ benchmark, arm }) => `${benchmark} ${arm.dimensions.cache}`);
      const step = expect.stringContaining('RUN echo made > /file off');
      expect(names).toEqual(expect.arrayContaining([step, 'whole build off', 'whole build warm']));
    },
    LIMIT_MS,
  );
});

describe('a session that ends early', () => {
  const CHANNEL = ['--benchmark', 'exec-latency', '--benchmark', 'forward-download'];

  test(
    'by Ctrl-C: 130, and what was measured is kept, marked partial',
    async () => {
      const out = path.join(folder, 'interrupted.json');
      const running = bench(['-m', sharedMachine(), ...CHANNEL, '--runs', '20', '--out', out]);
      await running.said('a forwarded unix socket, guest to host: channel=forward, 2 of 20');
      running.child.kill('SIGINT');
      expect((await running.outcome).status).toBe(130);
      const session = await readSession(out);
      expect(session).toMatchObject({ state: 'partial', rejected: [] });
      expect(session.measurements.find(({ benchmark }) => benchmark === 'exec-latency')?.values).toHaveLength(20);
    },
    LIMIT_MS,
  );

  test(
    'by the end of its machine: 9, and the same is kept',
    async () => {
      await machines.up(STOPPING, parseSpec({ memory: '1GiB', disk: '2GiB', engine: { enabled: false } }));
      try {
        const out = path.join(folder, 'stopped.json');
        const running = bench(['-m', STOPPING, ...CHANNEL, '--runs', '20', '--out', out]);
        await running.said('a forwarded unix socket, guest to host: channel=forward, 2 of 20');
        await machines.down(STOPPING, { force: true });
        const { status, stderr } = await running.outcome;
        expect(status, stderr).toBe(9);
        const session = await readSession(out);
        expect(session.state).toBe('partial');
        expect(session.measurements.find(({ benchmark }) => benchmark === 'exec-latency')?.values).toHaveLength(20);
      } finally {
        await machines.down(STOPPING, { force: true });
        await machines.delete(STOPPING, { keepData: false });
      }
    },
    LIMIT_MS,
  );
});
