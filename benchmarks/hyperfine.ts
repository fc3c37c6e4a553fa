/**
 * Results in hyperfine's own shape (its src/benchmark/benchmark_result.rs), so that its scripts and others' adapters
 * read our files. hyperfine itself runs all samples of one command before the next command's, which lets a drift of the
 * machine pass for a difference; so it is started once a sample, and the samples are merged here.
 */
import { z } from 'zod';
import { RosettaVmError } from '../host/errors.ts';
import { mean, median, standardDeviation } from './statistics/descriptive.ts';

/** Times are seconds. */
export const hyperfineResultSchema = z.object({
  command: z.string(),
  mean: z.number(),
  /** Null for a single run. */
  stddev: z.number().nullable(),
  median: z.number(),
  /** CPU time of the command and what it waited for, mean over the runs. */
  user: z.number(),
  system: z.number(),
  min: z.number(),
  max: z.number(),
  times: z.array(z.number().positive()).min(1),
  memory_usage_byte: z.array(z.number()).optional(),
  exit_codes: z.array(z.number().nullable()),
  parameters: z.record(z.string(), z.string()).optional(),
});

export type HyperfineResult = z.infer<typeof hyperfineResultSchema>;

const exportSchema = z.object({ results: z.array(hyperfineResultSchema).length(1) });

/** Reads what `hyperfine --export-json` wrote for one command. Throws `E_INVALID`. */
export function parseExport(text: string): HyperfineResult {
  try {
    const [result] = exportSchema.parse(JSON.parse(text)).results;
    if (result !== undefined) return result;
  } catch (error) {
    throw unreadable(text, error);
  }
  throw unreadable(text, undefined);
}

function unreadable(text: string, cause: unknown): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: 'hyperfine’s result cannot be read.',
    why: `It begins with ${JSON.stringify(text.slice(0, 200))}.`,
    fix: 'Build the guest image anew with `rosetta-vm image build`; it brings hyperfine.',
    cause,
  });
}

/**
 * One result out of samples of the same command, of which there must be one at least. `name` stands where the command would,
 * as with hyperfine's -n, for readers that tell results apart by it (Bencher's adapter does); the command is then a parameter.
 */
export function mergeSamples(
  samples: readonly HyperfineResult[],
  parameters: Readonly<Record<string, string>>,
  name?: string,
): HyperfineResult {
  const times = samples.flatMap((sample) => sample.times);
  const command = samples[0]?.command ?? '';
  return {
    command: name ?? command,
    mean: mean(times),
    stddev: standardDeviation(times),
    median: median(times),
    user: mean(samples.map(({ user }) => user)),
    system: mean(samples.map(({ system }) => system)),
    min: Math.min(...times),
    max: Math.max(...times),
    times,
    memory_usage_byte: samples.flatMap((sample) => sample.memory_usage_byte ?? []),
    exit_codes: samples.flatMap((sample) => sample.exit_codes),
    parameters: { ...parameters, ...(name === undefined ? {} : { command }) },
  };
}
