/** Does the steps of a recipe. */
import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, open, rename, symlink } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder, writeSynced } from '../../../files.ts';
import type { CommandResult, CommandRunner } from '../../../process/run-command.ts';
import { ENTITLEMENTS, grantedEntitlements } from './entitlements.ts';
import { codesignError, entitlementError, selfTestError } from './failures.ts';
import { removeCopy } from './leases.ts';
import type { Step } from './recipe.ts';
import { type SelfTestAnswer, selfTestOutcome } from './self-test.ts';

export interface Tools {
  readonly run: CommandRunner;
  /** Already cleaned (environment.ts). */
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

export type Execution = { readonly kind: 'made'; readonly answer: SelfTestAnswer } | { readonly kind: 'killed' };

/**
 * Resolves to `killed` when the system killed the self-test; the steps after it were not done then. Throws the errors of
 * failures.ts and of the file system. What is half done stays: the caller removes the workspace.
 */
export async function executeRecipe(steps: readonly Step[], tools: Tools): Promise<Execution> {
  let answer: SelfTestAnswer | null = null;
  for (const step of steps) {
    tools.signal?.throwIfAborted();
    if (step.kind !== 'run') {
      await doFileStep(step);
      continue;
    }
    const { env, signal } = tools;
    const result = await tools.run(step.argv, { env, limitMs: step.limitMs, signal });
    if (step.id !== 'self-test') {
      judgeCodesign(step, result);
      continue;
    }
    const outcome = selfTestOutcome(result);
    if (outcome.kind === 'killed') return { kind: 'killed' };
    if (outcome.kind !== 'passed') throw selfTestError(outcome);
    answer = outcome.answer;
  }
  if (answer === null) throw new Error('The recipe has no self-test.');
  return { kind: 'made', answer };
}

async function doFileStep(step: Exclude<Step, { kind: 'run' }>): Promise<void> {
  switch (step.kind) {
    case 'folder':
      await mkdir(step.path, { mode: 0o700 });
      return;
    case 'copy':
      // No extended attributes are copied, so no quarantine either (libuv's uv_fs_copyfile).
      await copyFile(step.from, step.to, constants.COPYFILE_EXCL);
      await chmod(step.to, step.mode);
      await sync(step.to);
      return;
    case 'link':
      await symlink(step.target, step.path);
      return;
    case 'write':
      await writeSynced(step.path, step.content, step.mode);
      return;
    case 'rename':
      // One that is there is incomplete or was to be made anew.
      await removeCopy(step.to);
      await rename(step.from, step.to);
      await syncFolder(path.dirname(step.to));
      return;
  }
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function judgeCodesign(step: Step, result: CommandResult): void {
  if (result.exitCode !== 0) throw codesignError(step.id, result);
  if (step.id !== 'entitlement') return;
  const difference = compareEntitlements(result.stdout);
  if (difference !== null) throw entitlementError(difference.missing, difference.surplus);
}

export interface EntitlementDifference {
  readonly missing: readonly string[];
  readonly surplus: readonly string[];
}

/** What a signature lacks or has too much, from codesign's XML; null when it is as asked. */
export function compareEntitlements(xml: string): EntitlementDifference | null {
  const granted = grantedEntitlements(xml);
  const missing = ENTITLEMENTS.filter((key) => !granted.includes(key));
  const surplus = granted.filter((key) => !ENTITLEMENTS.includes(key));
  return missing.length + surplus.length === 0 ? null : { missing, surplus };
}
