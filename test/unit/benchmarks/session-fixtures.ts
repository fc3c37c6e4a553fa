/** Sessions as `bench run` writes them, from numbers that were measured on this kind of machine, with noise of a seed. */
import { createHash } from 'node:crypto';
import { mergeSamples } from '../../../benchmarks/hyperfine.ts';
import type { Arm, Counts, Fingerprint, Measurement, Session } from '../../../benchmarks/session.ts';

export const fingerprint: Fingerprint = {
  os: 'linux Debian GNU/Linux 12 (bookworm)',
  architecture: 'x64',
  cpu: 'AMD EPYC',
  hostCpus: 2,
  hostMemoryBytes: 25_276_973_056,
  driver: 'qemu',
  accelerator: 'tcg',
  hypervisor: 'QEMU 7.2.22',
  guestKernel: '6.12.117+deb13-cloud-arm64',
  translators: { box64: '0.4.3-3+dfsg-1', qemu: '1:10.0.13+ds-0+deb13u1' },
  image: 'aa6055918995c391',
  disk: 'nvme',
  cpus: 2,
  memoryMiB: 6026,
  powerState: 'unknown',
};

export const OFF: Arm = { native: false, dimensions: { cache: 'off', translator: 'box64' } };
export const WARM: Arm = { native: false, dimensions: { cache: 'warm', translator: 'box64' } };
export const QEMU: Arm = { native: false, dimensions: { cache: 'off', translator: 'qemu' } };
export const NATIVE: Arm = { native: true, dimensions: {} };

/** Seconds: without the cache, with it, by qemu-user, native. */
const TIMES: Readonly<Record<string, readonly [off: number, warm: number, qemu: number, native: number]>> = {
  'exec/sh-true': [4.02, 3.41, 12.2, 0.58],
  'exec/perl-start': [0.61, 0.32, 1.25, 0.16],
  'exec/python3-start': [2.81, 1.06, 5.29, 0.25],
  'compile/gcc-hello': [11.1, 3.97, 18.7, 0.85],
  'compile/gcc-lz': [25.3, 12.1, 41.8, 2.9],
  'compile/configure': [28.9, 21.7, 72.1, 4.4],
};

export const BENCHMARKS = Object.keys(TIMES);

export interface SessionSetting {
  readonly id?: string;
  readonly date?: string;
  readonly commit?: Session['commit'];
  readonly seed?: number;
  readonly runs?: number;
  /** Share of noise, 0.02 is 2 %. */
  readonly noise?: number;
  /** Times are multiplied by what this says of a benchmark in an arm. */
  readonly factor?: (name: string, arm: Arm) => number;
  readonly counts?: (name: string, arm: Arm) => Counts;
  readonly benchmarks?: readonly string[];
  readonly arms?: readonly Arm[];
}

export const commitOf = (letter: string, dirty = false): Session['commit'] => ({ id: letter.repeat(40), dirty });

const usualCounts = (_: string, { native, dimensions }: Arm): Counts =>
  native ? {} : { execs: 6, cacheEntriesRead: dimensions.cache === 'warm' ? 11 : 0, cacheEntriesWritten: 0 };

/** A whole session of six benchmarks in four arms; `changes` replace fields of it. */
export function makeSession(setting: SessionSetting = {}, changes: Partial<Session> = {}): Session {
  const { seed = 1, runs = 12, noise = 0.015, benchmarks = BENCHMARKS, arms = [OFF, WARM, QEMU, NATIVE] } = setting;
  const random = seeded(seed);
  const measurements = benchmarks.flatMap((name) => {
    const suite = name.slice(0, name.indexOf('/'));
    const benchmark = name.slice(suite.length + 1);
    return arms.map((arm): Measurement => {
      const level = timeOf(name, arm) * (setting.factor?.(name, arm) ?? 1);
      const values = Array.from({ length: runs }, () => level * Math.exp(noise * gaussian(random)));
      const counts = (setting.counts ?? usualCounts)(name, arm);
      return {
        ...{ suite, benchmark, arm, unit: 'seconds', smallerIsBetter: true, values },
        rounds: values.map(() => 1),
        counts: values.map(() => counts),
        product: 'a'.repeat(64),
      };
    });
  });
  return {
    schemaVersion: 1,
    kind: 'rosetta-vm-bench',
    id: setting.id ?? '20261124-101500-4f2a9c',
    date: setting.date ?? '2026-11-24T10:15:00Z',
    clockJumpMs: 0,
    version: '0.1.0',
    commit: setting.commit === undefined ? commitOf('a') : setting.commit,
    tier: 'quick',
    state: 'complete',
    fingerprint,
    measurements,
    rejected: [],
    results: measurements.map(({ suite, benchmark, values }) =>
      mergeSamples(
        values.map((seconds) => ({
          ...{ command: benchmark, mean: seconds, stddev: null, median: seconds, user: 0, system: 0 },
          ...{ min: seconds, max: seconds, times: [seconds], exit_codes: [0] },
        })),
        { suite, benchmark },
      ),
    ),
    ...changes,
  };
}

function timeOf(name: string, { native, dimensions }: Arm): number {
  const [off, warm, qemu, best] = TIMES[name] ?? [1, 1, 1, 1];
  if (native) return best;
  if (dimensions.translator === 'qemu') return qemu;
  return dimensions.cache === 'warm' ? warm : off;
}

/** Of the session of that number in {@link makeHistory}. */
export const commitOfDay = (index: number) => ({
  id: createHash('sha1').update(String(index)).digest('hex'),
  dirty: false,
});

/** A session a day, each of a commit of its own; `level` multiplies the warm times of the session of that number. */
export function makeHistory(length: number, level: (index: number, name: string) => number): Session[] {
  return Array.from({ length }, (_, index) => {
    const day = String((index % 28) + 1).padStart(2, '0');
    const month = String(9 + Math.floor(index / 28)).padStart(2, '0');
    return makeSession({
      id: `2026${month}${day}-101500-${String(index).padStart(6, '0')}`,
      date: `2026-${month}-${day}T10:15:00Z`,
      commit: commitOfDay(index),
      seed: 100 + index,
      runs: 10,
      arms: [OFF, WARM],
      factor: (name, arm) => (arm === WARM ? level(index, name) : 1),
    });
  });
}

/** Mulberry32 (public domain, by Tommy Ettinger): numbers in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958). */
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
