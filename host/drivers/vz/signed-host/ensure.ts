/** The signed copy of node, made when it is missing. */
import { access, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Lock, lock } from '../../../process/lock.ts';
import { type ProgressSink, stage } from '../../../progress.ts';
import { executeRecipe, type Tools } from './execute.ts';
import { selfTestError } from './failures.ts';
import { collectGarbage, takeLease, temporaryName } from './leases.ts';
import { ADDON, BUNDLE, type BuildFacts, EXECUTABLE, hostKey, RECORD, recipe, VARIANTS } from './recipe.ts';

export interface EnsureRequest extends Tools {
  /** Folder of all copies. */
  readonly hosts: string;
  readonly facts: BuildFacts;
  readonly onProgress: ProgressSink;
  /** Make it anew even when it is there. */
  readonly again?: boolean;
}

export interface SignedHost {
  readonly directory: string;
  readonly executable: string;
  readonly bundle: string;
  readonly addon: string;
  /** Keeps the copy from being removed; whoever inherits its descriptor keeps it on. */
  readonly lease: Lock;
}

/** Copying and signing takes seconds; a slow disk and the system's check of a new program take more, ms. */
const LOCK_LIMIT_MS = 3 * 60_000;

/**
 * Makes the copy for these facts unless it is there, and removes the copies that no process uses. Two callers at once
 * make one copy. Throws the errors of failures.ts, `E_DISK_FULL`, `E_LOCKED` or `E_ABORTED`; nothing half made stays.
 */
export async function ensureSignedHost(request: EnsureRequest): Promise<SignedHost> {
  const { hosts, facts, onProgress, signal, again = false } = request;
  await mkdir(hosts, { recursive: true, mode: 0o700 });
  const held = await lock(path.join(hosts, 'hosts.lock'), {
    timeoutMs: LOCK_LIMIT_MS,
    signal,
    what: 'The signed copy of Node.js',
  });
  try {
    const directory = path.join(hosts, hostKey(facts));
    const there = await isComplete(directory);
    if (!there || again) {
      await stage(onProgress, 'host.sign', 'Signing a copy of Node.js for virtual machines', () =>
        make(request, directory),
      );
    }
    // Before what nobody holds is removed.
    const lease = await takeLease(directory);
    await collectGarbage(hosts);
    return { directory, lease, ...partsOf(directory) };
  } finally {
    await held.release();
  }
}

/** Paths of a copy's parts. */
export function partsOf(directory: string): Pick<SignedHost, 'executable' | 'bundle' | 'addon'> {
  return {
    executable: path.join(directory, EXECUTABLE),
    bundle: path.join(directory, BUNDLE),
    addon: path.join(directory, ADDON),
  };
}

/** The folder appears by a rename, whole; a file of it can only be missing when somebody removed it. */
export async function isComplete(directory: string): Promise<boolean> {
  const files = [path.join(directory, RECORD), ...Object.values(partsOf(directory))];
  const found = await Promise.allSettled(files.map((file) => access(file)));
  return found.every(({ status }) => status === 'fulfilled');
}

async function make(request: EnsureRequest, destination: string): Promise<void> {
  const { hosts, facts } = request;
  for (const variant of VARIANTS) {
    const workspace = path.join(hosts, temporaryName('making'));
    try {
      // A second try is a new file as well: macOS remembers the first one's signature by its inode.
      const { kind } = await executeRecipe(recipe({ facts, variant, workspace, destination }), request);
      if (kind === 'made') return;
    } finally {
      await rm(workspace, { recursive: true, force: true });
    }
  }
  throw selfTestError({ kind: 'killed' });
}
