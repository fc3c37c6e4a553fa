/** Debian trees for programs to run in, such as an x86_64 one with a compiler, as a reproducible tar archive. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { asRosettaVmError } from '../host/errors.ts';
import { writeSynced } from '../host/files.ts';
import { ignoreProgress, stage } from '../host/progress.ts';
import { writeTar } from './archive/tar-write.ts';
import { type Architecture, type ArchiveOptions, openArchive } from './debian/archive.ts';
import { dependencyClosure } from './debian/closure.ts';
import type { ImageStore } from './image.ts';
import { digestOf } from './manifest.ts';
import { isDocumentation } from './packages.ts';
import { fetchPackages } from './plan.ts';
import { finishRoot, isReadToFinish, rootSkeleton } from './root/system.ts';
import { rootTree } from './root/tree.ts';
import { type Deb, unpackPackages } from './root/unpack.ts';
import { discard, publish, withWorkspace } from './workspace.ts';

/** Rises when the code makes something else of the same packages. */
const FORMAT = 1;

export interface BaseRootOptions extends Omit<ArchiveOptions, 'downloads'> {
  readonly store: ImageStore;
  readonly architecture: Architecture;
  /** Such as `trixie`. */
  readonly suite: string;
  /** Their dependencies come along, without Recommends; so does {@link ALWAYS}. */
  readonly packages: readonly string[];
}

const recordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  sha256: z.string(),
  bytes: z.int().positive(),
  packages: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: z.string() })),
});

export interface BaseRoot extends Readonly<Omit<z.infer<typeof recordSchema>, 'schemaVersion'>> {
  /** Path of the tar archive. */
  readonly archive: string;
}

/** Folders, accounts, the awk that base-files wants, and the C.UTF-8 locale. */
const ALWAYS = ['base-files', 'base-passwd', 'libc-bin', 'mawk'];

/** The top-level folders that are links into /usr: the loader's differs (x86-64 psABI: /lib64/ld-linux-x86-64.so.2). */
const MERGED: Readonly<Record<Architecture, readonly string[]>> = {
  amd64: ['bin', 'lib', 'lib64', 'sbin'],
  arm64: ['bin', 'lib', 'sbin'],
};

/**
 * Builds the tree, without running any program of it. It is kept in the downloads folder by what was asked for, so the
 * same request is answered at once and without network, with the versions of the first time, until that is deleted.
 * Throws `E_NETWORK`, `E_VERIFY`, `E_NOT_FOUND`, `E_INVALID`, `E_DISK_FULL` or `E_ABORTED`.
 */
export async function buildBaseRoot(options: BaseRootOptions): Promise<BaseRoot> {
  const { store, architecture, suite, onProgress = ignoreProgress } = options;
  const packages = [...new Set([...ALWAYS, ...options.packages])].sort();
  const key = digestOf([FORMAT, architecture, suite, packages]).slice(0, 16);
  const roots = path.join(store.downloads, 'roots');
  const target = path.join(roots, `${suite}-${architecture}-${key}`);
  const present = await readBaseRoot(target);
  if (present !== null) return present;
  await discard(target);
  const archiveOptions = { ...options, downloads: store.downloads };
  try {
    const opened = await (await openArchive(archiveOptions))(suite);
    const closure = dependencyClosure({
      indexes: new Map([[suite, await opened.index(architecture)]]),
      architecture,
      packages,
    });
    const debs = await fetchPackages(closure, new Map([[suite, opened]]), {
      ...archiveOptions,
      id: 'base-root.download',
      title: `Downloading Debian packages (${architecture})`,
    });
    await withWorkspace(roots, async (folder) => {
      const archive = path.join(folder, 'root.tar');
      const written = await stage(onProgress, 'base-root.make', `Making the ${architecture} root`, () =>
        writeBaseRoot(archive, opened.release.date, MERGED[architecture], debs, options.signal),
      );
      const record: z.infer<typeof recordSchema> = {
        schemaVersion: 1,
        ...written,
        packages: closure.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
      };
      await writeSynced(path.join(folder, 'root.json'), `${JSON.stringify(record, null, 2)}\n`);
      await publish(folder, target);
    });
  } catch (error) {
    throw asRosettaVmError(options.signal?.aborted === true ? options.signal.reason : error);
  }
  const made = await readBaseRoot(target);
  if (made !== null) return made;
  throw asRosettaVmError(new Error(`${target} vanished while it was being made`));
}

const CHUNK_BYTES = 1024 * 1024;

/** The archive's bytes, for a program's standard input; `report` hears how many have been taken. */
export async function* streamBaseRoot(
  { archive }: Pick<BaseRoot, 'archive'>,
  report: (doneBytes: number) => void,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const chunk of createReadStream(archive, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    yield chunk;
    done += chunk.length;
    report(done);
  }
}

async function writeBaseRoot(
  archive: string,
  date: number,
  merged: readonly string[],
  debs: readonly Deb[],
  signal: AbortSignal | undefined,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const tar = await writeTar(archive, date);
  try {
    const tree = await rootTree(tar, merged);
    for (const entry of rootSkeleton()) await tree.add(entry);
    const read = await unpackPackages(debs, { tree, isDropped: isDocumentation, isRead: isReadToFinish, signal });
    await finishRoot(tree, read);
    return await tar.finish();
  } catch (error) {
    await tar.abandon();
    throw error;
  }
}

/** Null when it is not there, or not as it was written. */
async function readBaseRoot(directory: string): Promise<BaseRoot | null> {
  const archive = path.join(directory, 'root.tar');
  try {
    const record = recordSchema.parse(JSON.parse(await readFile(path.join(directory, 'root.json'), 'utf8')));
    if ((await stat(archive)).size !== record.bytes) return null;
    const { schemaVersion: _, ...rest } = record;
    return { archive, ...rest };
  } catch {
    return null;
  }
}
