/** A Packages index: every binary package of one suite, component and architecture. */
import { RosettaVmError } from '../../host/errors.ts';
import { parseControl } from './control.ts';
import { type Alternatives, parseRelations, type Relation } from './relation.ts';
import { compareVersions } from './version.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** `all`, or the index's architecture. */
  readonly architecture: string;
  readonly suite: string;
  readonly depends: readonly Alternatives[];
  readonly provides: readonly Relation[];
  /** Path below the archive's base. */
  readonly filename: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly source: string;
  readonly homepage: string;
}

/** Packages by name, read on demand: an index holds some 65,000 of them, and an image wants a hundred. */
export interface PackagesIndex {
  /** Newest first; empty when there is none. */
  named(name: string): readonly DebianPackage[];
  /** Packages whose Provides names it, sorted by name. */
  providing(name: string): readonly DebianPackage[];
}

/** Indexes an uncompressed Packages file. The buffer is kept. Malformed entries throw `E_INVALID` when they are asked for. */
export function indexPackages(content: Buffer, suite: string): PackagesIndex {
  const stanzas = new Map<string, number[]>();
  const providers = new Map<string, number[]>();
  const add = (map: Map<string, number[]>, key: string, start: number): void => {
    const known = map.get(key);
    if (known === undefined) map.set(key, [start]);
    else known.push(start);
  };
  for (let start = 0; start < content.length; ) {
    const end = stanzaEnd(content, start);
    const name = fieldAt(content, 'Package: ', start, end);
    if (name !== null) add(stanzas, name, start);
    start = end + 2;
  }
  for (let at = content.indexOf('\nProvides: '); at >= 0; at = content.indexOf('\nProvides: ', at + 1)) {
    const line = content.toString('utf8', at + '\nProvides: '.length, content.indexOf('\n', at + 1));
    const start = content.lastIndexOf('\n\n', at) + 2;
    for (const element of line.split(',')) {
      const [provided] = element.trim().split(/[\s(:]/, 1);
      if (provided) add(providers, provided, start === 1 ? 0 : start);
    }
  }

  const parsed = new Map<number, DebianPackage>();
  const at = (start: number): DebianPackage => {
    const known = parsed.get(start);
    if (known !== undefined) return known;
    const one = parsePackage(content.toString('utf8', start, stanzaEnd(content, start)), suite);
    parsed.set(start, one);
    return one;
  };
  return {
    named: (name) => (stanzas.get(name) ?? []).map(at).sort((a, b) => compareVersions(b.version, a.version)),
    providing: (name) =>
      (providers.get(name) ?? [])
        .map(at)
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : compareVersions(b.version, a.version))),
  };
}

function stanzaEnd(content: Buffer, start: number): number {
  const end = content.indexOf('\n\n', start);
  return end < 0 ? content.length : end;
}

function fieldAt(content: Buffer, prefix: string, start: number, end: number): string | null {
  let from = start;
  if (content.toString('latin1', start, start + prefix.length) !== prefix) {
    const found = content.indexOf(`\n${prefix}`, start);
    if (found < 0 || found >= end) return null;
    from = found + 1;
  }
  const lineEnd = content.indexOf('\n', from);
  return content.toString('utf8', from + prefix.length, lineEnd < 0 || lineEnd > end ? end : lineEnd).trim();
}

// Policy 5.6.7 and 5.6.12, a little wider; what matters is that nothing here can leave a folder.
const NAME = /^[a-z0-9][a-z0-9+.-]*$/i;
const VERSION = /^[0-9][A-Za-z0-9.+:~-]*$/;

/** Largest .deb accepted, bytes: the largest in Debian is about 2 GB. */
const MAX_DEB_BYTES = 4 * 1024 ** 3;

function parsePackage(text: string, suite: string): DebianPackage {
  const [paragraph] = parseControl(text);
  const field = (name: string): string => paragraph?.get(name) ?? '';
  const name = field('package');
  const filename = field('filename');
  const bytes = Number(field('size'));
  const bad = (what: string): RosettaVmError =>
    new RosettaVmError('E_INVALID', {
      what: `The Debian index of ${suite} has an entry that cannot be used.`,
      why: `${JSON.stringify(name.slice(0, 60))}: ${what}.`,
      fix: 'Try again with another mirror (`--mirror`).',
    });
  if (!NAME.test(name)) throw bad('no proper package name');
  if (!VERSION.test(field('version'))) throw bad('no proper version');
  if (!/^[0-9a-f]{64}$/.test(field('sha256'))) throw bad('no SHA-256');
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes > MAX_DEB_BYTES) throw bad('no proper size');
  if (!/^[A-Za-z0-9][A-Za-z0-9+._~:/%-]*\.deb$/.test(filename) || filename.split('/').includes('..'))
    throw bad('no proper file name');
  return {
    name,
    version: field('version'),
    architecture: field('architecture'),
    suite,
    depends: [...parseRelations(field('pre-depends')), ...parseRelations(field('depends'))],
    provides: parseRelations(field('provides')).flat(),
    filename,
    bytes,
    sha256: field('sha256'),
    // `Source: name (version)` (Policy 5.6.1); absent when it is the package's own name.
    source: field('source').replace(/\s.*/, '') || name,
    homepage: field('homepage'),
  };
}
