/** One timed run of a workload in the guest. hyperfine does the timing, in the guest, so that nothing of the host counts. */

import { shellQuote } from '../host/cli/format.ts';
import type { AgentClient } from '../host/index.ts';
import { runInGuest } from './guest-command.ts';
import { type HyperfineResult, parseExport } from './hyperfine.ts';
import { WORK_DIR, type Workload } from './workloads.ts';

export interface Sample {
  readonly result: HyperfineResult;
  /** SHA-256 (hex) of what the run made. */
  readonly product: string;
}

/** Of the guest, outside the tree. */
const SCRATCH = '/run/rosetta-vm-demo';

/**
 * In a mount namespace of its own, so that the mounts end with it. The tree gets the guest's /dev because the translator
 * and its cache are below it (protocol.ts, RVM_DIR). hyperfine stays outside the tree and its shell is not used: what is
 * timed is chroot(8), which is native, and the program. A product of an earlier run must not pass for this one's.
 * Parameters: scratch folder, tree, product, command.
 */
const SCRIPT = [
  'set -e',
  'scratch=$1 tree=$2 product=$3',
  'mkdir -p "$scratch"',
  'mount --rbind /dev "$tree/dev"',
  'mount --bind /proc "$tree/proc"',
  'mount --rbind /sys "$tree/sys"',
  'rm -f "$product" "$scratch/output"',
  'hyperfine --shell none --runs 1 --style none --output "$scratch/output" --export-json "$scratch/time.json" "$4" >&2',
  'sha256sum < "$product"',
  'cat "$scratch/time.json"',
].join('\n');

/** Time that mounts and hyperfine's own start get besides the workload's limit, ms. */
const OVERHEAD_MS = 60_000;

/** Throws `E_EXEC` when the program fails, `E_TIMEOUT`, `E_ABORTED`, `E_INVALID`. */
export async function takeSample(
  agent: AgentClient,
  tree: string,
  workload: Workload,
  signal: AbortSignal,
): Promise<Sample> {
  const product = workload.product === undefined ? `${SCRATCH}/output` : `${tree}${WORK_DIR}/${workload.product}`;
  const command = shellQuote(['/usr/sbin/chroot', tree, ...workload.argv]);
  const { stdout } = await runInGuest(
    agent,
    {
      argv: [
        ...['/usr/bin/unshare', '--mount', '--propagation', 'private'],
        ...['/bin/sh', '-c', SCRIPT, 'sample', SCRATCH, tree, product, command],
      ],
      // Messages and byte order of names must not depend on who measures.
      env: { LC_ALL: 'C' },
    },
    { limitMs: workload.limitMs + OVERHEAD_MS, signal },
  );
  const [first = '', ...rest] = stdout.split('\n');
  return { result: parseExport(rest.join('\n')), product: first.split(' ')[0] ?? '' };
}
