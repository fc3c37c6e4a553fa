/**
 * `.dockerignore`, with Docker's own meaning rather than gitignore's. The rules are those of moby/patternmatcher
 * (ignorefile.ReadAll, PatternMatcher.MatchesUsingParentResults) and of the walk that BuildKit's client makes with them
 * (tonistiigi/fsutil, filter.go).
 */
import path from 'node:path';
import { RosettaVmError } from '../errors.ts';

/** What a folder's match says to what lies in it: which patterns it, or a folder above it, has matched. */
export type MatchState = readonly boolean[];

export interface IgnoreMatch {
  /** Left out of the context. */
  readonly excluded: boolean;
  /** For {@link IgnoreRules.match} of what lies in this folder. */
  readonly state: MatchState;
}

export interface IgnoreRules {
  /** The patterns, cleaned, in their order. */
  readonly patterns: readonly string[];
  /** `file` is relative with `/`; `parent` is the state of its folder, and is left out for what lies at the top. */
  match(file: string, parent?: MatchState): IgnoreMatch;
  /** Whether a pattern with `!` may bring back something in this excluded folder. */
  mayKeepBelow(folder: string): boolean;
}

interface Pattern {
  readonly text: string;
  /** `!`: brings back what an earlier pattern left out. */
  readonly exception: boolean;
  readonly matches: (file: string) => boolean;
}

/** Reads the file's text. Throws `E_INVALID` for a pattern that Docker refuses; `name` is the file's name in that error. */
export function parseDockerignore(text: string, name = '.dockerignore'): IgnoreRules {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const patterns = lines.flatMap((line, index) => {
    // Only a "#" in the first column starts a comment.
    const pattern = line.startsWith('#') ? '' : cleanLine(line.trim());
    return pattern === '' ? [] : [compile(pattern, { name, line: index + 1 })];
  });
  return rules(patterns);
}

/** Nothing is left out. */
export const NO_RULES: IgnoreRules = rules([]);

function rules(patterns: readonly Pattern[]): IgnoreRules {
  const exceptions = patterns.filter(({ exception }) => exception).map(({ text }) => withoutTrailingGlob(text));
  const plainExceptions = exceptions.every((text) => !/[*[\]?^\\]/.test(text));
  return {
    patterns: patterns.map(({ text, exception }) => (exception ? `!${text}` : text)),
    match(file, parent) {
      let excluded = false;
      const state = patterns.map(({ exception, matches }, index) => {
        let hit = parent?.[index] ?? false;
        // A pattern that could change nothing now is not looked at, and so does not count for what lies below either.
        if (!hit && exception === excluded) hit = matches(file);
        if (hit) excluded = !exception;
        return hit;
      });
      return { excluded, state };
    },
    mayKeepBelow: (folder) => !plainExceptions || exceptions.some((text) => `${text}/`.startsWith(`${folder}/`)),
  };
}

/** Leading slashes mean nothing: every pattern is relative to the context (Docker's documentation, `.dockerignore`). */
function cleanLine(line: string): string {
  const exception = line.startsWith('!');
  const pattern = exception ? line.slice(1).trim() : line;
  if (pattern === '') return exception ? '!' : '';
  const clean = cleanPath(pattern);
  const relative = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
  return exception ? `!${relative}` : relative;
}

/** Go's filepath.Clean, which drops a trailing slash. */
function cleanPath(text: string): string {
  const normal = path.posix.normalize(text);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function compile(line: string, where: { readonly name: string; readonly line: number }): Pattern {
  const exception = line.startsWith('!');
  const text = exception ? line.slice(1) : line;
  const matcher = text === '' || !isWellFormed(text) ? null : matcherOf(text);
  if (matcher === null) throw badPattern(line, where);
  return { text, exception, matches: matcher };
}

/** What a pattern is, as far as it has been read; the names are patternmatcher's. */
type Kind = 'exact' | 'prefix' | 'suffix' | 'regexp';

/** Null when the pattern makes no regular expression. */
function matcherOf(pattern: string): ((file: string) => boolean) | null {
  let kind: Kind = 'exact';
  let source = '^';
  let at = 0;
  for (let tokens = 0; at < pattern.length; tokens += 1) {
    const character = pattern[at] ?? '';
    at += 1;
    if (character === '*' && pattern[at] === '*') {
      // "**/" is "**".
      at += pattern[at + 1] === '/' ? 2 : 1;
      if (at < pattern.length) {
        source += '(?:.*/)?';
        kind = 'regexp';
      } else if (kind === 'exact') {
        kind = 'prefix';
      } else {
        source += '.*';
        kind = 'regexp';
      }
      if (tokens === 0) kind = 'suffix';
      continue;
    }
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += ONE_CHARACTER;
    else if (character === '\\') source += `\\${pattern[at++] ?? ''}`;
    else source += '.+()|{}$'.includes(character) ? `\\${character}` : character;
    if ('*?\\[]'.includes(character)) kind = 'regexp';
  }
  if (kind === 'exact') return (file) => file === pattern;
  if (kind === 'prefix') return (file) => file.startsWith(pattern.slice(0, -2));
  if (kind === 'suffix') return suffixMatcher(pattern.slice(2));
  try {
    const expression = new RegExp(`${source}$`, 's');
    return (file) => expression.test(file);
  } catch {
    return null;
  }
}

// "**/name" also means "name" itself, and "**name" every path with that end, within a name too.
const suffixMatcher =
  (suffix: string) =>
  (file: string): boolean =>
    file.endsWith(suffix) || (suffix.startsWith('/') && file === suffix.slice(1));

/** Any character but a slash. Go counts code points, a regular expression without the flag `u` UTF-16 units. */
const ONE_CHARACTER = '(?:[\\ud800-\\udbff][\\udc00-\\udfff]|[^/])';

/** Go's filepath.Match: a backslash has something to escape, and every bracket opens a class that is whole. */
function isWellFormed(pattern: string): boolean {
  // One character of a class, which "-" and "]" are only after a backslash.
  const one = String.raw`(?:\\[\s\S]|[^\\\]-])`;
  const token = String.raw`\[\^?(?:${one}(?:-${one})?)+\]|\\[\s\S]|[^\\[]`;
  return new RegExp(`^(?:${token})*$`, 's').test(pattern);
}

function withoutTrailingGlob(pattern: string): string {
  return pattern.replace(/\/\*\*$/, '').replace(/\/\*$/, '');
}

function badPattern(pattern: string, { name, line }: { name: string; line: number }): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `${name} has a pattern that cannot be used: ${JSON.stringify(pattern)}.`,
    why: `Line ${line} is not of the form that Docker documents: “[” needs its “]”, “\\” and “!” need something after them.`,
    fix: 'Correct the line; a backslash in front of “[” means the bracket itself.',
    facts: { file: name, line, pattern },
  });
}
