/**
 * Files of the Debian archive that benchmarks work on. Which ones were meant is kept beside the downloads, so the same
 * request is answered without network from then on, with the versions of the first time, until that is deleted.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../../host/errors.ts';
import { readBounded, writeWhole } from '../../host/files.ts';
import type { ProgressSink, StatePaths } from '../../host/index.ts';
import { type Architecture, openArchive, type Suite } from '../../images/debian/archive.ts';
import { download } from '../../images/debian/download.ts';

const SUITE = 'trixie';
const MAX_RECORD_BYTES = 1024 * 1024;

const fileSchema = z.strictObject({
  name: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().positive(),
  urls: z.array(z.string()).min(1),
  /** Of a binary package. */
  package: z.strictObject({ name: z.string(), version: z.string(), architecture: z.string() }).optional(),
});
const recordSchema = z.strictObject({ schemaVersion: z.literal(1), files: z.array(fileSchema).min(1) });

type Wanted = z.infer<typeof fileSchema>;
export interface ArchiveFile extends Omit<Wanted, 'urls'> {
  /** Of the download, on this host. */
  readonly path: string;
}

export interface FetchOptions {
  readonly paths: StatePaths;
  readonly mirror?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

/** The packages alone, without what they depend on. Throws what {@link openArchive} and {@link download} throw. */
export function fetchDebs(
  packages: readonly string[],
  architecture: Architecture,
  options: FetchOptions,
): Promise<ArchiveFile[]> {
  return fetchFiles(`packages-${architecture}-${packages.join(',')}`, options, async (suite) => {
    const index = await suite.index(architecture);
    return packages.map((name) => {
      const [one] = index.named(name);
      if (one === undefined) throw noSuchPackage(name);
      const { version, architecture: own } = one;
      return { ...suite.wanted(one), urls: [...suite.wanted(one).urls], package: { name, version, architecture: own } };
    });
  });
}

/** The upstream archive of a source package. Throws the same. */
export async function fetchSource(name: string, options: FetchOptions): Promise<ArchiveFile> {
  const [file] = await fetchFiles(`source-${name}`, options, async (suite) => {
    const wanted = await suite.upstreamSource(name);
    return [{ ...wanted, urls: [...wanted.urls] }];
  });
  // A record has one file at least.
  return file as ArchiveFile;
}

async function fetchFiles(
  key: string,
  { paths, mirror, signal, onProgress }: FetchOptions,
  ask: (suite: Suite) => Promise<Wanted[]>,
): Promise<ArchiveFile[]> {
  const options = { downloads: paths.downloads, mirror, signal, onProgress };
  const digest = createHash('sha256').update(`${SUITE} ${key}`).digest('hex').slice(0, 32);
  const record = path.join(paths.downloads, 'bench', `${digest}.json`);
  let files = await readRecord(record);
  if (files === null) {
    files = await ask(await (await openArchive(options))(SUITE));
    await mkdir(path.dirname(record), { recursive: true, mode: 0o700 });
    await writeWhole(record, `${JSON.stringify({ schemaVersion: 1, files }, null, 2)}\n`);
  }
  const found = await download(files, { ...options, id: 'bench.download', title: 'Downloading what is measured' });
  return files.map(({ urls: _, ...file }, index) => ({ ...file, path: found[index] ?? '' }));
}

/** Null when there is none, or not as it was written: then the archive is asked again. */
async function readRecord(file: string): Promise<Wanted[] | null> {
  try {
    const text = await readBounded(file, MAX_RECORD_BYTES);
    return text === null ? null : recordSchema.parse(JSON.parse(text)).files;
  } catch {
    return null;
  }
}

const noSuchPackage = (name: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: `Debian ${SUITE} has no package ${name}.`,
    why: 'Its signed list does not name one in the section main.',
    fix: 'Name another package in the suite’s file.',
    facts: { package: name },
  });
