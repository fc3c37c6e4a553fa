/** One suite of a Debian archive, verified from its signature down. */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import type { ProgressSink } from '../../host/progress.ts';
import { readAptConfig } from './apt-config.ts';
import { download, type Wanted } from './download.ts';
import { fetchText, type Pace, patientPace } from './http.ts';
import { type ArchiveKeys, loadArchiveKeys } from './keys.ts';
import { chooseMirrors } from './mirror.ts';
import { type DebianPackage, indexPackages, type PackagesIndex } from './packages.ts';
import { openRelease, type Release } from './release.ts';
import { upstreamArchive } from './sources.ts';
import { readCompressed } from './xz.ts';

export interface ArchiveOptions {
  /** Downloads folder of the store. */
  readonly downloads: string;
  /** Base URL of the archive; default: the host's own apt configuration, then a public mirror. */
  readonly mirror?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
  /** Root folder of the host, whose apt configuration and archive keys count; default `/`. */
  readonly hostRoot?: string | undefined;
  /** Instead of Debian's own keys, for an archive that is not Debian's. */
  readonly keys?: ArchiveKeys | undefined;
  readonly pace?: Pace | undefined;
  /** Unix seconds; default: this computer's clock. */
  readonly now?: number | undefined;
}

export type Architecture = 'amd64' | 'arm64';

export interface Suite {
  readonly name: string;
  readonly release: Release;
  /** Base of the archive that was chosen. */
  readonly url: string;
  /** Digest of the index for this architecture: the same digest, the same packages. Throws `E_NOT_FOUND`. */
  indexDigest(architecture: Architecture): string;
  /** Downloads, checks and reads the index (section `main`). */
  index(architecture: Architecture): Promise<PackagesIndex>;
  /** What to download for a package of this suite. */
  wanted(one: DebianPackage): Wanted;
  /** The upstream archive of a source package (section `main`), newest version. Throws `E_NOT_FOUND`. */
  upstreamSource(name: string): Promise<Wanted>;
}

/** Debian's largest InRelease is below 400 kB. */
const MAX_RELEASE_BYTES = 8 * 1024 * 1024;
/** Largest Packages file accepted, bytes uncompressed; that of sid is 65 MB. */
const MAX_INDEX_BYTES = 512 * 1024 * 1024;

/** Opens suites of one archive: the apt configuration and the keys are read once. */
export async function openArchive(options: ArchiveOptions): Promise<(suite: string) => Promise<Suite>> {
  const apt = await readAptConfig(options.hostRoot);
  const keys = options.keys ?? (await loadArchiveKeys(options.hostRoot));
  return async (suite) => {
    const failures: RosettaVmError[] = [];
    for (const mirror of chooseMirrors(suite, options.mirror, apt)) {
      const url = `${mirror.url}/dists/${suite}/InRelease`;
      try {
        const text = await fetchText(
          { url, name: `The index of Debian ${suite}`, signal: options.signal, pace: options.pace ?? patientPace },
          MAX_RELEASE_BYTES,
        );
        const now = options.now ?? Date.now() / 1000;
        const release = await openRelease(text, { suite, keys, now, checkValidUntil: apt.checkValidUntil, url });
        return openSuite(suite, mirror.url, release, options);
      } catch (error) {
        if (!(error instanceof RosettaVmError) || options.signal?.aborted === true) throw error;
        failures.push(error);
      }
    }
    // A mirror that answered with something wrong tells more than another that could not be reached.
    const worst = failures.find(({ code }) => code !== 'E_NETWORK') ?? failures[0];
    throw (
      worst ??
      new RosettaVmError('E_NETWORK', {
        what: 'No Debian mirror is known.',
        why: '',
        fix: 'Name one with `--mirror URL`.',
      })
    );
  };
}

function openSuite(name: string, url: string, release: Release, options: ArchiveOptions): Suite {
  const indexes = new Map<Architecture, Promise<PackagesIndex>>();
  let sources: Promise<Buffer> | undefined;
  const entry = (file: string): { sha256: string; bytes: number } => {
    const found = release.files.get(file);
    if (found !== undefined && found.bytes <= MAX_INDEX_BYTES) return found;
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `Debian ${name} has no usable ${file}.`,
      why: found === undefined ? `${url} does not list it.` : `It would have ${found.bytes} bytes.`,
      fix: 'Choose another suite or another mirror.',
    });
  };
  const plain = (architecture: Architecture): string => `main/binary-${architecture}/Packages`;

  /** Downloads, checks and unpacks an index file; `title` names it for people. */
  async function read(file: string, title: string): Promise<Buffer> {
    const compression = release.files.has(`${file}.xz`) ? 'xz' : 'gzip';
    const suffix = compression === 'xz' ? '.xz' : '.gz';
    const packed = entry(`${file}${suffix}`);
    const unpacked = entry(file);
    const folder = `${url}/dists/${name}`;
    const [path = ''] = await download(
      [
        {
          name: title,
          ...packed,
          // By digest first: an index that the mirror replaces meanwhile stays there (Acquire-By-Hash).
          urls: [`${folder}/${posix.dirname(file)}/by-hash/SHA256/${packed.sha256}`, `${folder}/${file}${suffix}`],
        },
      ],
      { ...options, id: `debian.index.${name}`, title: `Reading the package list of Debian ${name}` },
    );
    const content = await readCompressed(path, compression, unpacked.bytes, title.replace(/^t/, 'T'));
    if (createHash('sha256').update(content).digest('hex') !== unpacked.sha256) {
      throw new RosettaVmError('E_VERIFY', {
        what: `The package list of ${name} is not the one that Debian signed.`,
        why: 'Its digest differs after decompression.',
        fix: 'Choose another mirror with `--mirror URL`.',
      });
    }
    return content;
  }

  return {
    name,
    release,
    url,
    indexDigest: (architecture) => entry(plain(architecture)).sha256,
    index: (architecture) => {
      const known =
        indexes.get(architecture) ??
        read(plain(architecture), `the package list of ${name} (${architecture})`).then((content) =>
          indexPackages(content, name),
        );
      indexes.set(architecture, known);
      return known;
    },
    wanted: (one) => ({
      name: `${one.name} ${one.version}`,
      sha256: one.sha256,
      bytes: one.bytes,
      urls: [`${url}/${one.filename}`],
    }),
    upstreamSource: async (source) => {
      sources ??= read('main/source/Sources', `the list of sources of ${name}`);
      const { file, ...found } = upstreamArchive(await sources, source, name);
      return { name: `the sources of ${source}`, ...found, urls: [`${url}/${file}`] };
    },
  };
}
