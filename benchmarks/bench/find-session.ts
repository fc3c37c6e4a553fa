/** What the words of `bench compare` and `bench report` mean: a file, the id of a session, or a commit. */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { count } from '../../host/cli/format.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { StatePaths } from '../../host/paths.ts';
import { type ComparableSession, comparable, measurementKey } from '../compare/comparable.ts';
import { type FingerprintField, fingerprintDifferences } from '../compare/fingerprint.ts';
import { type History, readHistory, sessionsOf, sessionsOfCommit, withoutMachine } from '../history/read.ts';
import { calibrationSessionsFolder, sessionsFolder } from '../runner/bench-folder.ts';
import { readSession } from '../session-file.ts';

const GIT_LIMIT_MS = 10_000;

/** `A B`, or `A..B` as git writes it; `A..` means up to HEAD. Throws `E_USAGE`. */
export function sessionNames(base: string, change: string | undefined): readonly [base: string, change: string] {
  if (change !== undefined) return [base, change];
  const [, from, to] = /^(.*[^.])\.\.([^.].*)?$/.exec(base) ?? [];
  if (from !== undefined) return [from, to || 'HEAD'];
  throw new RosettaVmError('E_USAGE', {
    what: 'There is nothing to compare with.',
    why: `${JSON.stringify(base)} names one session only.`,
    fix: 'Give two, such as `bench compare main..HEAD` or `bench compare before.json after.json`.',
  });
}

export interface Place {
  readonly paths: StatePaths;
  /** File in which commits are looked up. */
  readonly history: string;
  /** Where files and commits are looked for. */
  readonly cwd: string;
}

export interface FoundPair {
  readonly base: ComparableSession;
  readonly change: ComparableSession;
  /** Sentences: where another commit's session stands for the one that was named. */
  readonly notes: readonly string[];
}

/**
 * The two sessions that `base` and `change` name, each a file, else a session of this computer by its id, else a commit. Of a
 * commit's sessions in the history those are taken that have the most benchmarks in common on the same machine, and of such
 * the newest: a session of a single suite does not stand before the whole one. A change that is there already may be given as
 * it is. Throws `E_NOT_FOUND`, `E_INVALID`.
 *
 * For a commit without a session its nearest ancestor's stands, since a commit that brings a session into the history is a
 * child of the one that was measured: for the base any, for the change only across commits of nothing but the history, as
 * what came since was not measured.
 */
export async function findPair(
  base: string,
  change: string | ComparableSession,
  where: Place,
  accept: readonly FingerprintField[] = [],
): Promise<FoundPair> {
  const before = await candidates(base, where, 'base');
  const after =
    typeof change === 'string' ? await candidates(change, where, 'change') : { sessions: [change], notes: [] };
  const pairs = before.sessions.flatMap((from) => after.sessions.map((to) => [from, to] as const));
  const apart = pairs.filter(([from, to]) => from.id !== to.id);
  // `candidates` has never none, so there is a pair; only one of a session with itself when that is what was asked for.
  const [best] = (apart.length > 0 ? apart : pairs).toSorted(
    (a, b) =>
      inCommonOnOneMachine(b, accept) - inCommonOnOneMachine(a, accept) ||
      inCommon(b) - inCommon(a) ||
      later(b[1], a[1]) ||
      later(b[0], a[0]),
  );
  const [from, to] = best as Pair;
  return { base: from, change: to, notes: [...before.notes, ...after.notes] };
}

type Pair = readonly [from: ComparableSession, to: ComparableSession];

const later = (a: ComparableSession, b: ComparableSession): number => Date.parse(a.date) - Date.parse(b.date);

/** Benchmarks in arms that two sessions share. */
function inCommon([from, to]: Pair): number {
  const keys = new Set(from.measurements.map(measurementKey));
  return to.measurements.filter((one) => keys.has(measurementKey(one))).length;
}

function inCommonOnOneMachine([from, to]: Pair, accept: readonly FingerprintField[]): number {
  const comparable = fingerprintDifferences(from.fingerprint, to.fingerprint, accept).length === 0;
  return from.tier === to.tier && comparable ? inCommon([from, to]) : 0;
}

interface Candidates {
  /** One for a file or an id; of a commit all that the history has of it, whole and on a tree without changes. Never none. */
  readonly sessions: readonly ComparableSession[];
  readonly notes: readonly string[];
}

async function candidates(name: string, where: Place, role: 'base' | 'change'): Promise<Candidates> {
  const { paths, cwd } = where;
  const file = await sessionFile(name, paths, cwd);
  if (file !== null) return { sessions: [comparable(await readSession(file))], notes: [] };
  const commit = await commitOf(name, cwd);
  if (commit === null) {
    throw notFound(name, 'There is no such file, session or commit.', '`bench run --out FILE` writes a session.');
  }
  const history = path.resolve(cwd, where.history);
  const past = await readHistory(history);
  const ancestors = await git(cwd, 'rev-list', '--first-parent', `--max-count=${MAX_ANCESTORS}`, commit);
  for (const [distance, ancestor] of (ancestors ?? [commit]).entries()) {
    const sessions = sessionsOfCommit(past, ancestor);
    if (sessions.length === 0) continue;
    if (distance === 0) return { sessions, notes: [] };
    if (role === 'change' && !(await differInHistoryAlone(ancestor, commit, history, cwd))) {
      throw noneOfCommit(name, commit, where.history, past, ancestor);
    }
    const [named, taken] = [commit, ancestor].map((id) => id.slice(0, 10));
    const note = `${name} (${named}) was not measured; ${taken}, ${count(distance, 'commit')} before it, stands for it.`;
    return { sessions, notes: [note] };
  }
  throw noneOfCommit(name, commit, where.history, past);
}

/** Back from a commit, along its first parents. */
const MAX_ANCESTORS = 1000;

async function differInHistoryAlone(from: string, to: string, history: string, cwd: string): Promise<boolean> {
  const [top] = (await git(cwd, 'rev-parse', '--show-toplevel')) ?? [];
  const changed = await git(cwd, 'diff', '--name-only', '--no-renames', from, to, '--');
  if (top === undefined || changed === null) return false;
  // git tells the real path of the repository.
  const real = await realpath(history);
  return changed.every((file) => path.resolve(top, file) === real);
}

/** `ancestor`: that was measured, and cannot stand for it. */
function noneOfCommit(name: string, commit: string, file: string, past: History, ancestor?: string): RosettaVmError {
  const ofCommit = sessionsOf(past).filter((one) => one.commit?.id === commit);
  const [lost, unfit, unread] = [withoutMachine(past).length, ofCommit.length, past.skippedCount];
  return notFound(
    name,
    [
      `${file} has no complete session of the commit ${commit.slice(0, 10)}, measured without changes in its tree.`,
      ...(ancestor === undefined
        ? []
        : [`Its ancestor ${ancestor.slice(0, 10)} was measured, but more than the history changed since.`]),
      ...(unfit === 0
        ? []
        : [`${count(unfit, 'session')} of it cannot be used: partial, of a changed tree, or to calibrate.`]),
      ...(lost === 0 ? [] : [`${count(lost, 'session')} in it cannot be used: the line of the machine is lost.`]),
      ...(unread === 0 ? [] : [`${count(unread, 'line')} of it could not be read; \`bench history\` names them.`]),
    ].join(' '),
    `Check it out, build it, start its machine anew and measure: \`git checkout ${name}\`, \`npm run build\`, \`rosetta-vm down\`, \`rosetta-vm up\`, \`bench run\`.`,
  );
}

/** The file that a word names: itself, or that of this computer's session of that id. Null when there is none. */
export async function sessionFile(name: string, paths: StatePaths, cwd: string): Promise<string | null> {
  const folders = [sessionsFolder(paths), calibrationSessionsFolder(paths)];
  const own = /^[\w-]+$/.test(name) ? folders.map((folder) => path.join(folder, `${name}.json`)) : [];
  for (const file of [path.resolve(cwd, name), ...own]) if (await isFile(file)) return file;
  return null;
}

const isFile = (name: string): Promise<boolean> =>
  stat(name).then(
    (found) => found.isFile(),
    () => false,
  );

/** Null when git knows no such thing, or is not there. */
async function commitOf(name: string, cwd: string): Promise<string | null> {
  const [id = ''] = (await git(cwd, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)) ?? [];
  return /^[0-9a-f]{40}$/.test(id) ? id : null;
}

/** The lines that git says; null where it fails, or is not there. */
async function git(cwd: string, ...args: string[]): Promise<string[] | null> {
  const options = { cwd, reject: false, stdin: 'ignore', timeout: GIT_LIMIT_MS } as const;
  const { failed, stdout } = await execa('git', args, options);
  return failed ? null : stdout.split('\n').filter((line) => line !== '');
}

const notFound = (name: string, why: string, fix: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: `There is no session ${JSON.stringify(name)}.`,
    why,
    fix,
    facts: { name },
  });
