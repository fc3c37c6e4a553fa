/** Which commit a session measures: the one that the program was built from, which need not be the one that is checked out. */
import { realpath } from 'node:fs/promises';
import { execa } from 'execa';
import { packageFile } from '../host/package-root.ts';
import type { Session } from './session.ts';

/** Put in by the bundler (host/dev/source-state.mjs); absent when the sources run as they are. */
declare const ROSETTA_VM_SOURCE: Session['commit'] | undefined;

const builtFrom: Session['commit'] | undefined =
  typeof ROSETTA_VM_SOURCE === 'undefined' ? undefined : ROSETTA_VM_SOURCE;

const GIT_LIMIT_MS = 10_000;

export interface MeasuredCommit {
  /** Null where nobody knows. */
  readonly commit: Session['commit'];
  /** What the user should know of it; null when the build is of what is checked out. */
  readonly note: string | null;
}

/** Of this program, beside what the clone has now that it runs from. */
export async function measuredCommit(): Promise<MeasuredCommit> {
  return commitOfBuild(builtFrom, await commitOfClone(packageFile('.')));
}

/** `built`: undefined for sources that were not built. `clone`: null where the program is not run from a clone. */
export function commitOfBuild(built: Session['commit'] | undefined, clone: Session['commit']): MeasuredCommit {
  if (built === undefined) return { commit: clone, note: null };
  if (built === null || clone === null) return { commit: built, note: null };
  const fix = 'To measure what is checked out: `npm run build`, `rosetta-vm down`, `rosetta-vm up`.';
  if (built.id !== clone.id) {
    const [was, is] = [built.id, clone.id].map((id) => id.slice(0, 10));
    return {
      commit: built,
      note: `This program was built from the commit ${was}, and ${is} is checked out. ${was} is measured, and recorded. ${fix}`,
    };
  }
  const edited = clone.dirty && !built.dirty;
  return { commit: built, note: edited ? `The tree has changes that this program was built without. ${fix}` : null };
}

/** As {@link commitOfTree}, of a folder that is a repository itself: a package in somebody's node_modules has not their commit. */
async function commitOfClone(folder: string): Promise<Session['commit']> {
  const top = await outputOf(folder, ['rev-parse', '--show-toplevel']);
  if (top === null || (await realpath(top)) !== (await realpath(folder))) return null;
  return await commitOfTree(folder);
}

/** Null outside git, or without it. */
export async function commitOfTree(folder: string): Promise<Session['commit']> {
  const id = await outputOf(folder, ['rev-parse', '--verify', 'HEAD']);
  const changes = await outputOf(folder, ['status', '--porcelain', '--untracked-files=no']);
  return id === null || changes === null || !/^[0-9a-f]{40}$/.test(id) ? null : { id, dirty: changes !== '' };
}

/** Null when it fails or is not there. */
async function outputOf(folder: string, args: readonly string[]): Promise<string | null> {
  const { failed, stdout } = await execa('git', ['-C', folder, ...args], {
    ...{ reject: false, stdin: 'ignore', timeout: GIT_LIMIT_MS },
  });
  return failed ? null : stdout.trim();
}
