/** What the words of `bench compare` and `bench report` mean: a file, the id of a session, or a commit. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { count } from '../../host/cli/format.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { StatePaths } from '../../host/paths.ts';
import { type ComparableSession, comparable, measurementKey } from '../compare/comparable.ts';
import { type FingerprintField, fingerprintDifferences } from '../compare/fingerprint.ts';
import { readHistory, sessionsOfCommit, withoutMachine } from '../history/read.ts';
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

/**
 * The two sessions that `base` and `change` name, each a file, else a session of this computer by its id, else a commit. Of a
 * commit's sessions in the history those are taken that have the most benchmarks in common on the same machine, and of such
 * the newest: a session of a single suite does not stand before the whole one. A change that is there already may be given as
 * it is. Throws `E_NOT_FOUND`, `E_INVALID`.
 */
export async function findPair(
  base: string,
  change: string | ComparableSession,
  where: Place,
  accept: readonly FingerprintField[] = [],
): Promise<readonly [base: ComparableSession, change: ComparableSession]> {
  const before = await candidates(base, where);
  const after = typeof change === 'string' ? await candidates(change, where) : [change];
  const pairs = before.flatMap((from) => after.map((to) => [from, to] as const));
  const apart = pairs.filter(([from, to]) => from.id !== to.id);
  // `candidates` has never none, so there is a pair; only one of a session with itself when that is what was asked for.
  const [best] = (apart.length > 0 ? apart : pairs).toSorted(
    (a, b) => inCommon(b, accept) - inCommon(a, accept) || later(b[1], a[1]) || later(b[0], a[0]),
  );
  return best as readonly [ComparableSession, ComparableSession];
}

const later = (a: ComparableSession, b: ComparableSession): number => Date.parse(a.date) - Date.parse(b.date);

/** Benchmarks in arms that two sessions share; none when the sessions cannot be compared. */
function inCommon([from, to]: readonly [ComparableSession, ComparableSession], accept: readonly FingerprintField[]) {
  if (from.tier !== to.tier || fingerprintDifferences(from.fingerprint, to.fingerprint, accept).length > 0) return 0;
  const keys = new Set(from.measurements.map(measurementKey));
  return to.measurements.filter((one) => keys.has(measurementKey(one))).length;
}

/** One for a file or an id; of a commit all that the history has of it, whole and on a tree without changes. Never none. */
async function candidates(name: string, { paths, history, cwd }: Place): Promise<readonly ComparableSession[]> {
  for (const file of filesOf(name, paths, cwd)) {
    if (await isFile(file)) return [comparable(await readSession(file))];
  }
  const commit = await commitOf(name, cwd);
  if (commit === null) {
    throw notFound(name, 'There is no such file, session or commit.', '`bench run --out FILE` writes a session.');
  }
  const past = await readHistory(path.resolve(cwd, history));
  const found = sessionsOfCommit(past, commit);
  if (found.length > 0) return found;
  const lost = withoutMachine(past).length;
  throw notFound(
    name,
    [
      `${history} has no complete session of the commit ${commit.slice(0, 10)}, measured without changes in its tree.`,
      ...(lost === 0 ? [] : [`${count(lost, 'session')} in it cannot be used: the line of the machine is lost.`]),
    ].join(' '),
    `Check it out, build it, start its machine anew and measure: \`git checkout ${name}\`, \`npm run build\`, \`rosetta-vm down\`, \`rosetta-vm up\`, \`bench run\`.`,
  );
}

function filesOf(name: string, paths: StatePaths, cwd: string): string[] {
  const own = [sessionsFolder(paths), calibrationSessionsFolder(paths)].map((folder) =>
    path.join(folder, `${name}.json`),
  );
  return [path.resolve(cwd, name), ...(/^[\w-]+$/.test(name) ? own : [])];
}

const isFile = (name: string): Promise<boolean> =>
  stat(name).then(
    (found) => found.isFile(),
    () => false,
  );

/** Null when git knows no such thing, or is not there. */
async function commitOf(name: string, cwd: string): Promise<string | null> {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
  const { failed, stdout } = await execa('git', args, {
    ...{ cwd, reject: false, stdin: 'ignore', timeout: GIT_LIMIT_MS },
  });
  return failed || !/^[0-9a-f]{40}$/.test(stdout.trim()) ? null : stdout.trim();
}

const notFound = (name: string, why: string, fix: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: `There is no session ${JSON.stringify(name)}.`,
    why,
    fix,
    facts: { name },
  });
