/** The numbers that the project has promised to reach, and whether a run reached them. */
import { z } from 'zod';
import type { HyperfineResult } from './hyperfine.ts';
import type { StartTimes } from './start.ts';
import { median, ratio } from './statistics/descriptive.ts';
import { type BuildMode, type StepId, type StepTimes, stepMedian } from './step-times.ts';
import type { VersionTimes } from './version-time.ts';
import type { Mode } from './workloads.ts';

const goalSchema = z.object({
  kind: z.enum(['at-least', 'at-most', 'below']),
  value: z.number(),
});

export const promisedNumberSchema = z.object({
  id: z.string(),
  title: z.string(),
  /** `×` is a ratio; `MB` is 1,000,000 bytes. */
  unit: z.enum(['×', 's', 'MB']),
  /** Null when it could not be measured. */
  value: z.number().nullable(),
  /** Null: it is told for what it is. */
  goal: goalSchema.nullable(),
  /** Null without a goal. What could not be measured is not met. */
  met: z.boolean().nullable(),
});

export type Goal = z.infer<typeof goalSchema>;
export type PromisedNumber = z.infer<typeof promisedNumberSchema>;

export interface Measurements {
  readonly results: readonly HyperfineResult[];
  readonly build: readonly StepTimes[];
  /** The build ended with its configure step, and the machine was not restarted: nothing is said of the rest. */
  readonly quick: boolean;
  readonly start: StartTimes;
  readonly version: VersionTimes;
  /** Resident memory of the machine's host process, bytes. */
  readonly hostProcessBytes: number | null;
}

export function promisedNumbers({
  results,
  build,
  quick,
  start,
  version,
  hostProcessBytes,
}: Measurements): PromisedNumber[] {
  const faster = (workload: string, base: Mode) =>
    ratio(medianOf(results, workload, base), medianOf(results, workload, 'warm'));
  return [
    judge('gcc-warm', 'gcc, 10 lines: warm against no cache', '×', faster('gcc-hello', 'no-cache'), atLeast(2.5)),
    judge('python3-warm', 'python3 start: warm against no cache', '×', faster('python3-start', 'no-cache'), atLeast(3)),
    judge('perl-warm', 'perl start: warm against no cache', '×', faster('perl-start', 'no-cache'), atLeast(2)),
    judge('gcc-qemu', 'gcc, 10 lines: warm against qemu-user', '×', faster('gcc-hello', 'qemu'), atLeast(3.5)),
    judge('lz-warm', 'gcc, 448 lines: warm against no cache', '×', faster('gcc-lz', 'no-cache'), null),
    ...configureNumbers(build),
    ...(quick ? [] : wholeBuildNumbers(build)),
    judge(
      'agent-ready',
      'power-on to agent ready, against node as the first process',
      '×',
      ratio(middle(start.agentReady), middle(start.bareNode)),
      atMost(1.5),
    ),
    judge('up', 'host’s work of `rosetta-vm up`', 's', middle(start.hostWork), below(1.5)),
    judge(
      'version',
      '`rosetta-vm --version` against `node -e 0`',
      '×',
      ratio(middle(version.version), middle(version.node)),
      atMost(1.5),
    ),
    judge(
      'memory',
      'resident memory of the host process',
      'MB',
      hostProcessBytes === null ? null : hostProcessBytes / 1e6,
      below(90),
    ),
  ];
}

const against = (build: readonly StepTimes[], step: StepId, base: BuildMode, other: BuildMode = 'warm') =>
  ratio(stepMedian(build, step, base), stepMedian(build, step, other));

function configureNumbers(build: readonly StepTimes[]): PromisedNumber[] {
  const faster = (base: BuildMode) => against(build, 'configure', base);
  const title = 'docker build, configure step: warm against';
  return [
    judge('build-configure', `${title} no cache`, '×', faster('no-cache'), atLeast(1.5)),
    judge('build-configure-qemu', `${title} qemu-user`, '×', faster('qemu'), atLeast(2)),
  ];
}

function wholeBuildNumbers(build: readonly StepTimes[]): PromisedNumber[] {
  const faster = (step: StepId) => against(build, step, 'no-cache');
  const slower = (mode: BuildMode) => against(build, 'configure', mode);
  const recreated = 'configure step after `delete --keep-data` and `up`, against warm';
  return [
    judge('build-make', 'docker build, compile step: warm against no cache', '×', faster('make'), null),
    judge('build-whole', 'docker build: warm against no cache', '×', faster('whole'), null),
    judge('build-restarted', 'configure step after `down` and `up`, against warm', '×', slower('restarted'), AS_WARM),
    judge('build-recreated', recreated, '×', slower('recreated'), AS_WARM),
  ];
}

/** The translations are there again, the kernel's page cache is not. */
const AS_WARM: Goal = { kind: 'at-most', value: 1.25 };

/** Median of a workload in a mode, seconds; null when it has no sample. */
export function medianOf(results: readonly HyperfineResult[], workload: string, mode: Mode): number | null {
  const found = results.find(({ parameters }) => parameters?.workload === workload && parameters.mode === mode);
  return found?.median ?? null;
}

export function isMet(value: number, { kind, value: bound }: Goal): boolean {
  if (kind === 'at-least') return value >= bound;
  return kind === 'at-most' ? value <= bound : value < bound;
}

const atLeast = (value: number): Goal => ({ kind: 'at-least', value });
const atMost = (value: number): Goal => ({ kind: 'at-most', value });
const below = (value: number): Goal => ({ kind: 'below', value });

const middle = (values: readonly number[]): number | null => (values.length === 0 ? null : median(values));

function judge(
  id: string,
  title: string,
  unit: PromisedNumber['unit'],
  value: number | null,
  goal: Goal | null,
): PromisedNumber {
  const met = goal === null ? null : value !== null && isMet(value, goal);
  return { id, title, unit, value, goal, met };
}
