/** A Sources index: every source package of one suite and component, with the digests of its files (Policy 5.6.24). */
import { RosettaVmError } from '../../host/errors.ts';
import { parseControl } from './control.ts';
import { compareVersions } from './version.ts';

export interface UpstreamArchive {
  /** Path below the archive's base. */
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Largest archive of sources accepted, bytes: what is measured is small, and a mistake in the name should show. */
const MAX_BYTES = 512 * 1024 * 1024;
/** dpkg-source(1), formats 1.0 and 3.0: the upstream archive without its components. */
const UPSTREAM = /^[A-Za-z0-9][A-Za-z0-9+._~-]*\.orig\.tar\.(?:gz|xz)$/;

/** The newest version's. Throws `E_NOT_FOUND` when the suite has none, `E_INVALID` for an entry that cannot be used. */
export function upstreamArchive(sources: Buffer, name: string, suite: string): UpstreamArchive {
  const [newest] = stanzas(sources, name)
    .flatMap((text) => parseControl(text))
    .sort((a, b) => compareVersions(b.get('version') ?? '', a.get('version') ?? ''));
  if (newest === undefined) {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `Debian ${suite} has no source package ${name}.`,
      why: 'Its signed list does not name one in the section main.',
      fix: 'Name another source package.',
      facts: { package: name, suite },
    });
  }
  const directory = newest.get('directory') ?? '';
  const file = (newest.get('checksums-sha256') ?? '')
    .split('\n')
    .map((line) => /^([0-9a-f]{64})\s+(\d{1,12})\s+(\S+)$/.exec(line.trim()))
    .find((match) => UPSTREAM.test(match?.[3] ?? ''));
  const [, sha256 = '', bytes = '', archive = ''] = file ?? [];
  if (sha256 === '' || Number(bytes) > MAX_BYTES || !isFolder(directory)) {
    throw new RosettaVmError('E_INVALID', {
      what: `The sources of ${name} in Debian ${suite} cannot be used.`,
      why:
        sha256 === '' ? 'There is no upstream archive in gzip or xz.' : `They would be ${bytes} bytes in ${directory}.`,
      fix: 'Name another source package.',
      facts: { package: name, suite },
    });
  }
  return { file: `${directory}/${archive}`, sha256, bytes: Number(bytes) };
}

/** Nothing here can leave the archive. */
const isFolder = (path: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9+._~/-]*$/.test(path) && !path.split('/').includes('..');

/** Every paragraph of this package, as text. */
function stanzas(sources: Buffer, name: string): string[] {
  const field = Buffer.from(`\nPackage: ${name}\n`);
  const found: string[] = [];
  const add = (at: number): void => {
    const before = sources.lastIndexOf('\n\n', at);
    const end = sources.indexOf('\n\n', at + 1);
    found.push(sources.toString('utf8', before < 0 ? 0 : before + 2, end < 0 ? sources.length : end));
  };
  if (sources.subarray(0, field.length - 1).equals(field.subarray(1))) add(0);
  for (let at = sources.indexOf(field); at >= 0; at = sources.indexOf(field, at + 1)) add(at);
  return found;
}
