/** How long the steps of the example's build took. Pure. */
import { z } from 'zod';
import type { BuildStep } from '../host/build/steps.ts';
import { median } from './statistics/descriptive.ts';

/** The steps that the report shows, in the order of examples/wordtally/Dockerfile; `whole` is everything together. */
const STEPS = [
  { id: 'configure', title: 'RUN ./configure' },
  { id: 'make', title: 'RUN make, 4 files' },
  { id: 'check', title: 'RUN make check' },
  { id: 'whole', title: 'whole build' },
] as const;

export type StepId = (typeof STEPS)[number]['id'];
export const STEP_IDS: readonly StepId[] = STEPS.map(({ id }) => id);

export const describeStep = (id: StepId): string => STEPS.find((step) => step.id === id)?.title ?? id;

/** Besides the benchmarks' modes: warm after `down` and `up`, and warm after `delete --keep-data` and `up`. */
export const BUILD_MODES = ['no-cache', 'cold', 'warm', 'qemu', 'restarted', 'recreated'] as const;
export type BuildMode = (typeof BUILD_MODES)[number];

export const stepTimesSchema = z.object({
  step: z.enum(STEP_IDS),
  mode: z.enum(BUILD_MODES),
  /** Seconds, by the guest's clock. */
  times: z.array(z.number().nonnegative()).min(1).readonly(),
});
export type StepTimes = z.infer<typeof stepTimesSchema>;

/** What a step's instruction begins with. */
const INSTRUCTIONS: readonly (readonly [StepId, RegExp])[] = [
  ['configure', /^\[[^\]]*\] RUN \.\/configure\b/],
  ['make', /^\[[^\]]*\] RUN make -j/],
  ['check', /^\[[^\]]*\] RUN make check\b/],
];

/** Seconds of each step that ran; of the whole, from the first step's begin to the last one's end. */
export function timesOf(steps: readonly BuildStep[]): Map<StepId, number> {
  const timed = steps.flatMap(({ name, startedMs, completedMs }) =>
    startedMs === undefined || completedMs === undefined ? [] : [{ name, startedMs, completedMs }],
  );
  const times = new Map<StepId, number>();
  for (const [id, instruction] of INSTRUCTIONS) {
    const found = timed.find(({ name }) => instruction.test(name));
    if (found !== undefined) times.set(id, (found.completedMs - found.startedMs) / 1000);
  }
  if (timed.length > 0) {
    const begun = Math.min(...timed.map(({ startedMs }) => startedMs));
    const ended = Math.max(...timed.map(({ completedMs }) => completedMs));
    times.set('whole', (ended - begun) / 1000);
  }
  return times;
}

/** Median of a step in a mode, seconds; null when it was not timed. */
export function stepMedian(times: readonly StepTimes[], step: StepId, mode: BuildMode): number | null {
  const found = times.find((one) => one.step === step && one.mode === mode);
  return found === undefined ? null : median(found.times);
}
