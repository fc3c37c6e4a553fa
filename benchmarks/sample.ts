/** One timed run of a workload in the guest. hyperfine does the timing, in the guest, so that nothing of the host counts. */

import { runInGuest } from '../host/channel/guest-command.ts';
import { shellQuote } from '../host/cli/format.ts';
import type { AgentClient } from '../host/index.ts';
import { type HyperfineResult, parseExport } from './hyperfine.ts';
import { WORK_DIR, type Workload } from './workloads.ts';

export interface Sample {
  readonly result: HyperfineResult;
  /** SHA-256 (hex) of what the run made. */
  readonly product: string;
}

/** Standard output of a workload without a product, in the tree. */
const OUTPUT = `${WORK_DIR}/output`;

/**
 * In a mount namespace of its own, so that the mounts end with it. The tree gets the guest's /dev because the translator
 * and its cache are below it (protocol.ts, RVM_DIR), and the guest's root at /mnt: so the guest's own hyperfine, a native
 * program, runs inside the tree, and neither a shell nor chroot(8) is timed. A product of an earlier run must not pass
 * for this one's. Parameters: tree, folder for results, output, product, command.
 */
const SCRIPT = [
  'set -e',
  'tree=$1 results=$2 output=$3 product=$4 libraries=/mnt/usr/lib/aarch64-linux-gnu',
  'mkdir -p "$tree$results"',
  'mount --rbind /dev "$tree/dev"',
  'mount --bind /proc "$tree/proc"',
  'mount --rbind /sys "$tree/sys"',
  'mount --bind / "$tree/mnt"',
  'rm -f "$tree$product" "$tree$output"',
  'chroot "$tree" "$libraries/ld-linux-aarch64.so.1" --library-path "$libraries" /mnt/usr/bin/hyperfine \\',
  '  --shell none --runs 1 --style none --output "$output" --export-json "$results/time.json" "$5" >&2',
  'sha256sum < "$tree$product"',
  'cat "$tree$results/time.json"',
].join('\n');

/** Time that the mounts and hyperfine's own start get besides the workload's limit, ms. */
const OVERHEAD_MS = 60_000;

/** Throws `E_EXEC` when the program fails, `E_TIMEOUT`, `E_ABORTED`, `E_INVALID`. */
export async function takeSample(
  agent: AgentClient,
  tree: string,
  workload: Workload,
  signal: AbortSignal,
): Promise<Sample> {
  const product = workload.product === undefined ? OUTPUT : `${WORK_DIR}/${workload.product}`;
  const { stdout } = await runInGuest(
    agent,
    {
      argv: [
        ...['/usr/bin/unshare', '--mount', '--propagation', 'private'],
        ...['/bin/sh', '-c', SCRIPT, 'sample', tree, WORK_DIR, OUTPUT, product, shellQuote(workload.argv)],
      ],
      // Messages and byte order of names must not depend on who measures.
      env: { LC_ALL: 'C' },
    },
    { limitMs: workload.limitMs + OVERHEAD_MS, signal },
  );
  const [first = '', ...rest] = stdout.split('\n');
  return { result: parseExport(rest.join('\n')), product: first.split(' ')[0] ?? '' };
}
