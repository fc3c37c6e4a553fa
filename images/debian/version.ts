/**
 * Debian version numbers: `[epoch:]upstream[-revision]`, ordered as dpkg orders them (Debian Policy 5.6.12;
 * the algorithm is that of dpkg's lib/dpkg/version.c).
 */

interface Version {
  readonly epoch: number;
  readonly upstream: string;
  readonly revision: string;
}

/** Policy 5.6.12: the epoch ends at the first colon, the revision begins at the last hyphen; both may be absent. */
function parse(text: string): Version {
  const colon = text.indexOf(':');
  const epoch = colon < 0 ? 0 : Number.parseInt(text.slice(0, colon), 10) || 0;
  const rest = text.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return hyphen < 0
    ? { epoch, upstream: rest, revision: '' }
    : { epoch, upstream: rest.slice(0, hyphen), revision: rest.slice(hyphen + 1) };
}

/** A character's weight in a non-digit run: `~` before the end of the string, letters before everything else. */
function weight(code: number): number {
  if (Number.isNaN(code)) return 0;
  if (code === 0x7e) return -1;
  const letter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return letter ? code : code + 256;
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** Compares upstream versions or revisions: runs of non-digits and of digits in turn. */
function comparePart(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a.charCodeAt(i))) || (j < b.length && !isDigit(b.charCodeAt(j)))) {
      // A digit ends the run, as the end of the string does: both weigh nothing.
      const x = isDigit(a.charCodeAt(i)) ? 0 : weight(a.charCodeAt(i));
      const y = isDigit(b.charCodeAt(j)) ? 0 : weight(b.charCodeAt(j));
      if (x !== y) return x < y ? -1 : 1;
      i++;
      j++;
    }
    const x = digitRun(a, i);
    const y = digitRun(b, j);
    const difference = compareNumerals(x.digits, y.digits);
    if (difference !== 0) return difference;
    i = x.end;
    j = y.end;
  }
  return 0;
}

function digitRun(text: string, start: number): { readonly digits: string; readonly end: number } {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  return { digits: text.slice(start, end).replace(/^0+/, ''), end };
}

/** Digits of any length (dates such as 20250101120000 exceed no limit), leading zeros removed. */
function compareNumerals(a: string, b: string): number {
  if (a.length !== b.length) return a.length < b.length ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Negative, zero or positive as `a` is earlier than, equal to or later than `b`. */
export function compareVersions(a: string, b: string): number {
  const x = parse(a);
  const y = parse(b);
  if (x.epoch !== y.epoch) return x.epoch < y.epoch ? -1 : 1;
  return comparePart(x.upstream, y.upstream) || comparePart(x.revision, y.revision);
}

/** Relations of Policy 7.1. */
export type VersionOperator = '<<' | '<=' | '=' | '>=' | '>>';

export function satisfiesVersion(version: string, operator: VersionOperator, wanted: string): boolean {
  const order = compareVersions(version, wanted);
  switch (operator) {
    case '<<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    case '>=':
      return order >= 0;
    case '>>':
      return order > 0;
  }
}
