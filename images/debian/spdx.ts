/**
 * Licences as Debian's copyright files name them, as SPDX expressions (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/).
 * A name becomes an identifier of SPDX's list only where both stand for the same text; any other becomes a LicenseRef.
 */

/** Families of Debian's §7.1 (and AGPL) with SPDX's name and the versions that its list has. */
const FAMILIES: ReadonlyMap<string, { readonly id: string; readonly versions: readonly string[] }> = new Map([
  ['agpl', { id: 'AGPL', versions: ['1.0', '3.0'] }],
  ['apache', { id: 'Apache', versions: ['1.0', '1.1', '2.0'] }],
  // Not Artistic 1, of which SPDX tells three apart.
  ['artistic', { id: 'Artistic', versions: ['2.0'] }],
  ['cc-by', { id: 'CC-BY', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc-by-nc', { id: 'CC-BY-NC', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc-by-nc-nd', { id: 'CC-BY-NC-ND', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc-by-nc-sa', { id: 'CC-BY-NC-SA', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc-by-nd', { id: 'CC-BY-ND', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc-by-sa', { id: 'CC-BY-SA', versions: ['1.0', '2.0', '2.5', '3.0', '4.0'] }],
  ['cc0', { id: 'CC0', versions: ['1.0'] }],
  ['cddl', { id: 'CDDL', versions: ['1.0', '1.1'] }],
  ['cpl', { id: 'CPL', versions: ['1.0'] }],
  ['efl', { id: 'EFL', versions: ['1.0', '2.0'] }],
  ['gfdl', { id: 'GFDL', versions: ['1.1', '1.2', '1.3'] }],
  ['gpl', { id: 'GPL', versions: ['1.0', '2.0', '3.0'] }],
  ['lgpl', { id: 'LGPL', versions: ['2.0', '2.1', '3.0'] }],
  ['lppl', { id: 'LPPL', versions: ['1.0', '1.1', '1.2', '1.3c'] }],
  ['mpl', { id: 'MPL', versions: ['1.0', '1.1', '2.0'] }],
  ['python', { id: 'Python', versions: ['2.0'] }],
  ['qpl', { id: 'QPL', versions: ['1.0'] }],
  ['zope', { id: 'ZPL', versions: ['1.1', '2.0', '2.1'] }],
]);

/** SPDX says `-only` and `-or-later` of these. */
const GNU: ReadonlySet<string> = new Set(['AGPL', 'GFDL', 'GPL', 'LGPL']);

/** Licences without versions: Debian's own names, and SPDX's where Debian has none and the name leaves no doubt. */
const SINGLE: ReadonlyMap<string, string> = new Map([
  ['expat', 'MIT'],
  ...[
    ...['0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'BSD-4-Clause', 'BSL-1.0', 'curl', 'FSFAP', 'FSFUL'],
    ...['FSFULLR', 'ISC', 'OFL-1.1', 'Unicode-DFS-2016', 'Unlicense', 'Zlib'],
  ].map((id) => [id.toLowerCase(), id] as const),
  // §7.1 knows one version of it alone.
  ['cc0', 'CC0-1.0'],
]);

/** Exceptions by Debian's keyword, where SPDX's list has the same one. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([['linux-syscall-note', 'Linux-syscall-note']]);

type Term = { readonly id: string } | { readonly join: 'AND' | 'OR'; readonly terms: readonly Term[] };

/**
 * One expression for all that a package declares together: each must be complied with. `source` is the source package,
 * since names outside of the lists are only unique within its file (§6.7). Throws `RangeError` for an empty list.
 */
export function spdxExpression(declared: readonly string[], source: string): string {
  if (declared.length === 0) throw new RangeError('There is nothing to make an expression of.');
  const reference = (name: string): Term => ({ id: `LicenseRef-${idString(`${source}-${name}`)}` });
  const terms = declared.map((one) => parseSynopsis(one, reference) ?? reference(one));
  return render(joined('AND', terms));
}

/** SPDX's idstring: letters, digits, hyphens and dots. The length is for people who read it. */
const idString = (text: string): string =>
  text
    .replaceAll('+', 'plus')
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .slice(0, 96)
    .replace(/-+$/, '');

/**
 * §7.2: `or` binds weakest, then `and`; one with a comma before it binds weaker than both. Null for what has another
 * form, such as a sentence.
 */
function parseSynopsis(synopsis: string, reference: (name: string) => Term): Term | null {
  const tokens = synopsis.replaceAll(',', ' , ').split(' ').filter(Boolean);
  let at = 0;
  const keyword = (word: string): boolean => {
    if (tokens[at]?.toLowerCase() !== word) return false;
    at += 1;
    return true;
  };
  const license = (): Term | null => {
    const name = tokens[at++];
    if (name === undefined || /^(?:,|and|or|with)$/i.test(name)) return null;
    if (!keyword('with')) return licenseTerm(name, reference);
    const from = at;
    while (at < tokens.length && !/^(?:,|and|or|with|exception)$/i.test(tokens[at] ?? '')) at += 1;
    const exception = tokens.slice(from, at).join(' ');
    if (exception === '' || !keyword('exception')) return null;
    return exceptionTerm(name, exception, reference);
  };
  const chain = (join: 'AND' | 'OR', next: () => Term | null): Term | null => {
    const terms: Term[] = [];
    do {
      const term = next();
      if (term === null) return null;
      terms.push(term);
    } while (keyword(join.toLowerCase()));
    return joined(join, terms);
  };
  const group = (): Term | null => chain('OR', () => chain('AND', license));

  let whole = group();
  while (whole !== null && keyword(',')) {
    const join = keyword('and') ? 'AND' : keyword('or') ? 'OR' : null;
    const next = join === null ? null : group();
    whole = join === null || next === null ? null : joined(join, [whole, next]);
  }
  return at === tokens.length ? whole : null;
}

const licenseTerm = (name: string, reference: (name: string) => Term): Term => {
  const id = spdxId(name);
  return id === null ? reference(name) : { id };
};

function exceptionTerm(name: string, exception: string, reference: (name: string) => Term): Term {
  const id = spdxId(name);
  const known = EXCEPTIONS.get(exception.toLowerCase());
  return id === null || known === undefined
    ? reference(`${name} with ${exception} exception`)
    : { id: `${id} WITH ${known}` };
}

/** Null when SPDX's list has no identifier that is sure to mean the same. */
function spdxId(name: string): string | null {
  const single = SINGLE.get(name.toLowerCase());
  if (single !== undefined) return single;
  const match = /^([a-z][a-z0-9-]*?)(-niv)?-(\d[\d.]*c?)(\+|-only|-or-later)?$/i.exec(name);
  if (match === null) return null;
  const [, family = '', niv, digits = '', suffix] = match;
  const known = FAMILIES.get(family.toLowerCase());
  const version = known?.versions.find((one) => withoutZeroes(one) === withoutZeroes(digits.toLowerCase()));
  if (known === undefined || version === undefined) return null;
  const isGnu = GNU.has(known.id);
  if ((niv !== undefined && known.id !== 'GFDL') || (suffix?.startsWith('-') && !isGnu)) return null;
  const later = suffix === '+' || suffix?.toLowerCase() === '-or-later';
  if (!isGnu) return `${known.id}-${version}${later ? '+' : ''}`;
  return `${known.id}-${version}${niv === undefined ? '' : '-no-invariants'}${later ? '-or-later' : '-only'}`;
}

/** §7.1: 2.0.0, 2.0 and 2 are the same version. */
const withoutZeroes = (version: string): string => version.replace(/(?:\.0+)+$/, '');

/** Flat, each term once, sorted. */
function joined(join: 'AND' | 'OR', terms: readonly Term[]): Term {
  const flat = terms.flatMap((term) => ('join' in term && term.join === join ? term.terms : [term]));
  const unique = new Map(flat.map((term) => [render(term), term]));
  const sorted = [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, term]) => term);
  const [only] = sorted;
  return sorted.length === 1 && only !== undefined ? only : { join, terms: sorted };
}

function render(term: Term): string {
  if ('id' in term) return term.id;
  return term.terms.map((one) => ('join' in one ? `(${render(one)})` : render(one))).join(` ${term.join} `);
}
