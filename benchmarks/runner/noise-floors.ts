/** Noise floors of this machine, kept with the fingerprint that they hold for. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readBounded, writeWhole } from '../../host/files.ts';
import type { StatePaths } from '../../host/paths.ts';
import { fingerprintDigest } from '../compare/fingerprint.ts';
import { type Fingerprint, fingerprintSchema } from '../session.ts';
import { calibrationsFolder } from './bench-folder.ts';

const MAX_BYTES = 4 * 1024 * 1024;

const calibrationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  kind: z.literal('rosetta-vm-bench-calibration'),
  fingerprint: fingerprintSchema,
  /** By `suite/benchmark arm`. */
  floors: z.record(
    z.string(),
    z.strictObject({
      /** Share: 0.012 is 1.2 %. */
      floor: z.number().nonnegative(),
      /** Comparisons of the arm with itself that it comes from, and the samples on each side. */
      rounds: z.int().positive(),
      runs: z.int().positive(),
      date: z.iso.datetime(),
    }),
  ),
});
export type NoiseFloor = z.infer<typeof calibrationSchema>['floors'][string];

/** Which translators ran depends on what is measured, and the arm names its own. */
const keyOf = (fingerprint: Fingerprint): string => fingerprintDigest({ ...fingerprint, translators: {} });

const fileOf = (paths: StatePaths, fingerprint: Fingerprint): string =>
  path.join(calibrationsFolder(paths), `${keyOf(fingerprint)}.json`);

/** Empty when the machine was not calibrated, or its file cannot be read: then the rule's own threshold counts. */
export async function readNoiseFloors(
  paths: StatePaths,
  fingerprint: Fingerprint,
): Promise<ReadonlyMap<string, NoiseFloor>> {
  try {
    const text = await readBounded(fileOf(paths, fingerprint), MAX_BYTES);
    return text === null ? new Map() : new Map(Object.entries(calibrationSchema.parse(JSON.parse(text)).floors));
  } catch {
    return new Map();
  }
}

/** Adds to those that there are; a benchmark's new one replaces its old one. Throws what a full disk throws. */
export async function keepNoiseFloors(
  paths: StatePaths,
  fingerprint: Fingerprint,
  floors: ReadonlyMap<string, NoiseFloor>,
): Promise<string> {
  const file = fileOf(paths, fingerprint);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const all = new Map([...(await readNoiseFloors(paths, fingerprint)), ...floors]);
  const calibration: z.infer<typeof calibrationSchema> = {
    schemaVersion: 1,
    kind: 'rosetta-vm-bench-calibration',
    fingerprint,
    floors: Object.fromEntries(all),
  };
  await writeWhole(file, `${JSON.stringify(calibration, null, 2)}\n`);
  return file;
}
