/** One full run, as JSON: kept in benchmarks/results/ under the date and the kind of machine. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../host/errors.ts';
import { packageFile } from '../host/package-root.ts';
import { promisedNumberSchema } from './goals.ts';
import { hostDescriptionSchema } from './host-description.ts';
import { hyperfineResultSchema } from './hyperfine.ts';
import { stepTimesSchema } from './step-times.ts';

const seconds = z.array(z.number()).readonly();

export const recordSchema = z.object({
  schemaVersion: z.literal(1),
  /** Of rosetta-vm. */
  version: z.string(),
  /** ISO 8601, UTC. */
  date: z.string(),
  host: hostDescriptionSchema,
  translators: z.array(
    z.object({ name: z.string(), version: z.string(), build: z.string(), flags: z.string(), proved: z.boolean() }),
  ),
  /** In hyperfine's shape, so that its scripts read this file; parameters: workload and mode. */
  results: z.array(hyperfineResultSchema).readonly(),
  /** Samples that do not count. */
  rejected: z.array(z.object({ workload: z.string(), mode: z.string(), reason: z.string() })).readonly(),
  cache: z.array(z.object({ workload: z.string(), entries: z.number(), bytes: z.number() })).readonly(),
  /** Steps of the Docker build; absent in records of versions that had none. */
  build: z.array(stepTimesSchema).readonly().optional(),
  start: z.object({ agentReady: seconds, bareNode: seconds, hostWork: seconds }),
  command: z.object({ version: seconds, node: seconds }),
  numbers: z.array(promisedNumberSchema),
});

export type BenchmarkRecord = z.infer<typeof recordSchema>;

/** Throws `E_NOT_FOUND` or `E_INVALID`. */
export async function readRecord(file: string): Promise<BenchmarkRecord> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `${file} cannot be read.`,
      why: cause instanceof Error ? cause.message : String(cause),
      fix: 'Name a file that `npm run demo -- --record FILE` has written.',
      cause,
    });
  });
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new RosettaVmError('E_INVALID', {
      what: `${file} is not a benchmark record.`,
      why: cause instanceof Error ? cause.message : String(cause),
      fix: 'Name a file that `npm run demo -- --record FILE` has written.',
      cause,
    });
  }
}

/** Path of the newest committed record: their names begin with the date. Throws `E_NOT_FOUND`. */
export async function newestRecord(folder = packageFile('benchmarks/results')): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'));
  const newest = names.sort().at(-1);
  if (newest !== undefined) return path.join(folder, newest);
  throw new RosettaVmError('E_NOT_FOUND', {
    what: 'There is no benchmark record yet.',
    why: `${folder} has no JSON file.`,
    fix: 'Make one with `npm run demo -- --record FILE`.',
    facts: { folder },
  });
}
