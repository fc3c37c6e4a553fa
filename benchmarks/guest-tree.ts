/** Debian trees, amd64 or arm64, on the guest's data disk: each made once, for all later runs. */
import { DATA_DIR } from '../guest/protocol.ts';
import { runInGuest } from '../host/channel/guest-command.ts';
import { type AgentClient, buildBaseRoot, type ProgressSink, type StatePaths } from '../host/index.ts';
import { stage } from '../host/progress.ts';
import { streamBaseRoot } from '../images/base-root.ts';
import type { Architecture } from '../images/debian/archive.ts';

export interface TreeOptions {
  readonly agent: AgentClient;
  readonly paths: StatePaths;
  /** What the tree is for; a tree of the same name with other packages is replaced. */
  readonly name: string;
  readonly packages: readonly string[];
  /** Default: amd64. */
  readonly architecture?: Architecture;
  readonly mirror?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

const SUITE = 'trixie';
const ROOTS = `${DATA_DIR}/roots`;
/** Looking for a folder. */
const LOOK_LIMIT_MS = 60_000;
/** About 250 MB through an emulated machine. */
const COPY_LIMIT_MS = 15 * 60_000;
const COPY_STAGE = 'guest.tree';

/**
 * Unpacks into a folder beside and renames it, so that a tree is whole or absent; one of an earlier set of packages
 * goes. Parameters: the tree, the pattern of its kind.
 */
const UNPACK = [
  'set -e',
  'mkdir -p "$(dirname "$1")"',
  'rm -rf $2',
  'mkdir "$1.partial"',
  'tar -x -f - -C "$1.partial"',
  'sync',
  'mv "$1.partial" "$1"',
].join('\n');

/** Absolute path, in the guest, of the finished tree. Throws what {@link buildBaseRoot} and {@link runInGuest} throw. */
export async function ensureGuestTree(options: TreeOptions): Promise<string> {
  const { agent, paths, name, packages, architecture = 'amd64', mirror, signal, onProgress } = options;
  const root = await buildBaseRoot({
    store: paths,
    architecture,
    suite: SUITE,
    packages,
    mirror,
    signal,
    onProgress,
  });
  const tree = `${ROOTS}/${name}-${root.sha256.slice(0, 16)}`;
  if (await exists(agent, tree, signal)) return tree;
  await stage(
    onProgress,
    COPY_STAGE,
    `Copying the ${architecture} Debian tree ${name} into the machine (once)`,
    async () => {
      const input = streamBaseRoot(root, (doneBytes) =>
        onProgress({ kind: 'bytes', id: COPY_STAGE, doneBytes, totalBytes: root.bytes }),
      );
      await runInGuest(
        agent,
        { argv: ['/bin/sh', '-c', UNPACK, 'unpack', tree, `${ROOTS}/${name}-*`] },
        { limitMs: COPY_LIMIT_MS, signal, input },
      );
    },
  );
  return tree;
}

async function exists(agent: AgentClient, folder: string, signal: AbortSignal): Promise<boolean> {
  const look = 'if test -d "$1"; then echo yes; else echo no; fi';
  const { stdout } = await runInGuest(
    agent,
    { argv: ['/bin/sh', '-c', look, 'look', folder] },
    { limitMs: LOOK_LIMIT_MS, signal },
  );
  return stdout.trim() === 'yes';
}
