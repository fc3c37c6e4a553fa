/**
 * The file of one session of `npx bench`: what the runner writes and comparison, history and report read. Its `results`
 * are hyperfine's own (its src/benchmark/benchmark_result.rs), so that hyperfine's scripts and Bencher's adapter read it.
 */
import { z } from 'zod';
import { hyperfineResultSchema } from './hyperfine.ts';

/**
 * Rises when a field changes its meaning or comes in. 2: what was chosen, the host's kernel, the commit that was built.
 * Version 1 is read as well; it has none of what says so below.
 */
export const SESSION_VERSION = 2;
export const FIRST_SESSION_VERSION = 1;

const name = z.string().min(1).max(200);
const digest = z.string().regex(/^[0-9a-f]{16,64}$/);

const fingerprintFields = {
  /** `linux` or `darwin`, with the release that matters: the macOS build, or the distribution. */
  os: name,
  /** Of a Linux host, whose distribution does not tell it. Since version 2. */
  hostKernel: name.optional(),
  architecture: name,
  cpu: name,
  hostCpus: z.int().positive(),
  hostMemoryBytes: z.int().positive(),
  driver: z.enum(['qemu', 'vz']),
  accelerator: z.enum(['kvm', 'tcg', 'vz']),
  hypervisor: name.optional(),
  guestKernel: name,
  /** Digest of each translator's build, by name. */
  translators: z.record(name, name),
  image: name,
  disk: name,
  cpus: z.int().positive(),
  memoryMiB: z.int().positive(),
  powerState: z.enum(['mains', 'battery', 'unknown']),
};

/**
 * What must be equal for two sessions to be compared. Nothing in it names the machine or its user. Absent: not known on
 * this kind of host. A field of a later version is kept, so that its machines stay apart here too.
 */
export const fingerprintSchema = z.looseObject(fingerprintFields);
export type Fingerprint = z.infer<z.ZodObject<typeof fingerprintFields>>;

/**
 * One way of running a benchmark: the value of each dimension, or `native` for the same work on arm64 in the same
 * guest, which is the limit. Its name is {@link armName}.
 */
export const armSchema = z.strictObject({
  native: z.boolean(),
  dimensions: z.record(name, name),
});
export type Arm = z.infer<typeof armSchema>;

/** `native`, or `cache=warm,translator=box64` with the dimensions in the order of their names. */
export function armName({ native, dimensions }: Arm): string {
  const pairs = Object.entries(dimensions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([dimension, value]) => `${dimension}=${value}`);
  return [...(native ? ['native'] : []), ...pairs].join(',');
}

/**
 * What the guest counted in one sample, beside its time. From the sample's own cgroup (v2: cpu.stat, memory.peak,
 * io.stat), the router's page and the cache's activity. Absent: not counted in this arm.
 */
export const countsSchema = z.strictObject({
  /** µs. */
  cpuUserUsec: z.number().nonnegative().optional(),
  cpuSystemUsec: z.number().nonnegative().optional(),
  memoryPeakBytes: z.number().nonnegative().optional(),
  readBytes: z.number().nonnegative().optional(),
  writtenBytes: z.number().nonnegative().optional(),
  /** Translated programs started. */
  execs: z.number().nonnegative().optional(),
  cacheEntriesRead: z.number().nonnegative().optional(),
  cacheEntriesWritten: z.number().nonnegative().optional(),
});
export type Counts = z.infer<typeof countsSchema>;

/** One benchmark in one arm. */
export const measurementSchema = z.strictObject({
  suite: name,
  benchmark: name,
  arm: armSchema,
  /** `seconds` for time; what a benchmark reports itself (fio, throughput) is in a unit of its own. */
  unit: z.enum(['seconds', 'bytes-per-second', 'operations-per-second', 'count']),
  /** Whether a smaller value is the better one. */
  smallerIsBetter: z.boolean(),
  /** One per accepted sample, in the order in which they were taken; with `unit` seconds equal to hyperfine's times. */
  values: z.array(z.number().nonnegative()).max(10_000),
  /** Round (from 1) in which each value was taken. */
  rounds: z.array(z.int().positive()),
  /** One per value. */
  counts: z.array(countsSchema),
  /** SHA-256 of what a sample made, the same in every sample; absent where nothing can be checked so. */
  product: digest.optional(),
  /** Of a machine that was made for this arm: its disk, which goes before the fingerprint's. */
  disk: name.optional(),
});
export type Measurement = z.infer<typeof measurementSchema>;

export const rejectedSchema = z.strictObject({
  suite: name,
  benchmark: name,
  arm: armSchema,
  /** Exit code, wrong product, time limit: in words. */
  reason: z.string().max(2_000),
});
export type RejectedSample = z.infer<typeof rejectedSchema>;

/** What was asked for, so that a session can be told apart from one of other benchmarks, and measured again. */
export const choiceSchema = z.strictObject({
  /** `run`: to be compared. `calibration`: to learn the noise. `build`: of a user's own image. */
  purpose: z.enum(['run', 'calibration', 'build']),
  /** Suites and benchmarks that were named; empty: all of the tier. */
  suites: z.array(name).max(100),
  benchmarks: z.array(name).max(1_000),
  /** Samples an arm in one round; null: as the tier has it, in up to four rounds. */
  runs: z.nullable(z.int().positive()),
});
export type Choice = z.infer<typeof choiceSchema>;

export const sessionSchema = z.strictObject({
  schemaVersion: z.union([z.literal(FIRST_SESSION_VERSION), z.literal(SESSION_VERSION)]),
  kind: z.literal('rosetta-vm-bench'),
  /** Sortable and unique: date and a random part. */
  id: name,
  /** Start, ISO 8601 UTC. */
  date: z.iso.datetime(),
  /** Longest jump of the host's clock against its monotonic one during the session, ms. */
  clockJumpMs: z.number().nonnegative(),
  version: name,
  /**
   * git commit that the program was built from, and whether the tree had changes then; of a user's own image that of its
   * build context. Null outside git. In version 1: of the current folder, whatever had been built.
   */
  commit: z.nullable(z.strictObject({ id: z.string().regex(/^[0-9a-f]{40}$/), dirty: z.boolean() })),
  tier: z.enum(['quick', 'standard', 'full']),
  /** Since version 2. */
  choice: choiceSchema.optional(),
  /** `partial`: stopped before its end (`reason`); never compared as a whole one. */
  state: z.enum(['complete', 'partial']),
  reason: z.string().max(2_000).optional(),
  fingerprint: fingerprintSchema,
  measurements: z
    .array(
      measurementSchema.refine(
        ({ values, rounds, counts }) => rounds.length === values.length && counts.length === values.length,
        'Each value has its round and its counts.',
      ),
    )
    .max(10_000),
  rejected: z.array(rejectedSchema).max(10_000),
  /** The timed measurements in hyperfine's shape; `parameters` has suite, benchmark and each dimension. */
  results: z.array(hyperfineResultSchema),
});
export type Session = z.infer<typeof sessionSchema>;
