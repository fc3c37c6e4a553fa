/**
 * The folders of one benchmark on the guest's data disk: a layer of what its setup made over a tree that nothing changes,
 * and a scratch layer of each sample's own, so that none sees what another left (overlayfs.rst).
 */
import { DATA_DIR } from '../../guest/protocol.ts';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { shellQuote } from '../../host/cli/format.ts';
import type { AgentClient } from '../../host/index.ts';
import { parseExport } from '../hyperfine.ts';
import type { Sample } from './benchmark-runner.ts';
import { type CallLimits, inNamespaces } from './guest-namespaces.ts';
import { countsOf, PRINT_COUNTS, REMOVE_GROUP, sectionsOf, TAKE_GROUP } from './sample-group.ts';

const BENCH = `${DATA_DIR}/bench`;
/** Where results are in the tree. */
const RESULTS = '/tmp/rosetta-vm-bench';
const SMALL_LIMIT_MS = 120_000;
/** Mounts and hyperfine's own start. */
const OVERHEAD_MS = 60_000;

export interface Layer {
  readonly tree: string;
  readonly setup: string;
  readonly scratch: string;
}

/** Empty folders of this name. */
export async function makeLayer(agent: AgentClient, name: string, tree: string, signal: AbortSignal): Promise<Layer> {
  const folder = `${BENCH}/${name}`;
  const script = 'rm -rf "$1" && mkdir -p "$1/setup" "$1/scratch"';
  await runInGuest(agent, { argv: ['/bin/sh', '-c', script, 'make', folder] }, { limitMs: SMALL_LIMIT_MS, signal });
  return { tree, setup: `${folder}/setup`, scratch: `${folder}/scratch` };
}

export async function removeLayer(agent: AgentClient, name: string, signal: AbortSignal): Promise<void> {
  const script = `rm -rf "$1"; ${REMOVE_GROUP}`;
  const argv = ['/bin/sh', '-c', script, 'remove', `${BENCH}/${name}`];
  await runInGuest(agent, { argv }, { limitMs: SMALL_LIMIT_MS, signal });
}

/**
 * After {@link TAKE_GROUP} or at the begin of a script: a root of the layers, with the guest's /dev, since the translator and its cache are below it
 * (protocol.ts, RVM_DIR), and its root at /mnt, so that its own hyperfine, a native program, runs inside. It ends with
 * the mount namespace that it is in. Parameters: lower folders, upper folder, folder for both of overlayfs's own.
 */
const ENTER = [
  'set -e',
  'lower=$1 upper=$2 folder=$3 root=$3/root',
  'rm -rf "$folder"',
  'mkdir -p "$folder/work" "$root" "$upper"',
  'mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$folder/work" "$root"',
  'mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/mnt" "$root/tmp"',
  'mount --rbind /dev "$root/dev"',
  'mount --bind /proc "$root/proc"',
  'mount --rbind /sys "$root/sys"',
  'mount --bind / "$root/mnt"',
];

const SETUP = [...ENTER, 'shift 3', 'exec chroot "$root" "$@"'].join('\n');

/** Runs a program in the tree, whose changes stay in the setup layer. Throws `E_EXEC`, `E_TIMEOUT`, `E_ABORTED`. */
export async function runSetup(
  agent: AgentClient,
  { tree, setup, scratch }: Layer,
  argv: readonly string[],
  limits: CallLimits,
): Promise<void> {
  await inNamespaces(agent, SETUP, [tree, setup, scratch, ...argv], limits);
}

/**
 * One sample. What an earlier one left running is ended first, and what it wrote is on the disk, so that neither costs
 * this one. The cgroup holds hyperfine and the command: hyperfine's own start is in its counts, not in its time. Further
 * parameters: working directory, product, command.
 */
const SAMPLE = [
  ...TAKE_GROUP,
  ...ENTER,
  `results=${RESULTS} libraries=/mnt/usr/lib/aarch64-linux-gnu`,
  'directory=$4 product=$5 command=$6',
  'mkdir -p "$root$results"',
  'sync',
  // The path is whole because busybox's shell would take its own date, which knows no milliseconds.
  'begun=$(/usr/bin/date +%s%3N)',
  '(',
  '  echo 0 > "$group/cgroup.procs"',
  '  exec chroot "$root" "$libraries/ld-linux-aarch64.so.1" --library-path "$libraries" /mnt/usr/bin/env \\',
  '    --chdir="$directory" \\',
  '    "$libraries/ld-linux-aarch64.so.1" --library-path "$libraries" /mnt/usr/bin/hyperfine --shell none --runs 1 \\',
  '    --style none --output "$results/output" --export-json "$results/time.json" "$command" >&2',
  ')',
  'ended=$(/usr/bin/date +%s%3N)',
  'echo "# span"; echo "$begun $ended"',
  PRINT_COUNTS,
  'echo "# product"; sha256sum < "$root$product"',
  'echo "# hyperfine"; cat "$root$results/time.json"',
].join('\n');

export interface SampleRequest {
  readonly directory: string;
  /** File that the command makes; absent: its output counts. */
  readonly product?: string | undefined;
  readonly command: readonly string[];
}

export interface GuestSample extends Required<Pick<Sample, 'timed' | 'product' | 'value' | 'counts'>> {
  /** Unix ms, the guest's clock. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Throws `E_EXEC` when the command fails, `E_TIMEOUT`, `E_ABORTED`, `E_INVALID`. */
export async function takeGuestSample(
  agent: AgentClient,
  { tree, setup, scratch }: Layer,
  { directory, product = `${RESULTS}/output`, command }: SampleRequest,
  { limitMs, signal }: CallLimits,
): Promise<GuestSample> {
  const stdout = await inNamespaces(
    agent,
    SAMPLE,
    [`${setup}:${tree}`, `${scratch}/upper`, scratch, directory, product, shellQuote(command)],
    { limitMs: limitMs + OVERHEAD_MS, signal },
  );
  return readSample(stdout);
}

/** Reads what the script printed. Throws `E_INVALID`. */
export function readSample(stdout: string): GuestSample {
  const section = sectionsOf(stdout);
  const [since, until] = section('span').trim().split(' ').map(Number);
  const timed = parseExport(section('hyperfine'));
  return {
    value: timed.median,
    timed,
    product: section('product').split(' ')[0] ?? '',
    counts: countsOf(section),
    sinceMs: since ?? 0,
    untilMs: until ?? 0,
  };
}
