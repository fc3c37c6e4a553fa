/** What the words of `bench compare` and `bench report` mean: a file, the id of a session, or a commit. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { RosettaVmError } from '../../host/errors.ts';
import type { StatePaths } from '../../host/paths.ts';
import { type ComparableSession, comparable } from '../compare/comparable.ts';
import { readHistory, sessionOfCommit } from '../history/read.ts';
import { sessionsFolder } from '../runner/bench-folder.ts';
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
 * A file of that name, else a session of this computer by its id, else the newest whole one that the history has of the
 * commit, on a tree without changes. Throws `E_NOT_FOUND`, `E_INVALID`.
 */
export async function findSession(name: string, { paths, history, cwd }: Place): Promise<ComparableSession> {
  const file = path.resolve(cwd, name);
  if (await isFile(file)) return comparable(await readSession(file));
  const own = path.join(sessionsFolder(paths), `${name}.json`);
  if (/^[\w-]+$/.test(name) && (await isFile(own))) return comparable(await readSession(own));
  const commit = await commitOf(name, cwd);
  if (commit === null) {
    throw notFound(name, 'There is no such file, session or commit.', '`bench run --out FILE` writes a session.');
  }
  const found = sessionOfCommit(await readHistory(path.resolve(cwd, history)), commit);
  if (found !== undefined) return found;
  throw notFound(
    name,
    `${history} has no complete session of the commit ${commit.slice(0, 10)}, measured without changes in its tree.`,
    `Check it out and measure: \`git checkout ${name}\`, \`bench run\`.`,
  );
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
