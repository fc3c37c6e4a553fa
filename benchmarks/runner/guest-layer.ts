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
import { cgroupCounts } from './counts.ts';

const BENCH = `${DATA_DIR}/bench`;
/** Where results are in the tree. */
const RESULTS = '/tmp/rosetta-vm-bench';
const CGROUP = '/sys/fs/cgroup';
const SAMPLE_CGROUP = `${CGROUP}/rosetta-vm-bench`;
/** Messages and the order of names must not depend on who measures; dpkg wants the folders of the system's programs. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  DEBIAN_FRONTEND: 'noninteractive',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
const SMALL_LIMIT_MS = 120_000;
/** Mounts and hyperfine's own start. */
const OVERHEAD_MS = 60_000;

export interface Layer {
  readonly tree: string;
  readonly setup: string;
  readonly scratch: string;
}

export interface CallLimits {
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** Empty folders of this name. */
export async function makeLayer(agent: AgentClient, name: string, tree: string, signal: AbortSignal): Promise<Layer> {
  const folder = `${BENCH}/${name}`;
  const script = 'rm -rf "$1" && mkdir -p "$1/setup" "$1/scratch"';
  await runInGuest(agent, { argv: ['/bin/sh', '-c', script, 'make', folder] }, { limitMs: SMALL_LIMIT_MS, signal });
  return { tree, setup: `${folder}/setup`, scratch: `${folder}/scratch` };
}

export async function removeLayer(agent: AgentClient, name: string, signal: AbortSignal): Promise<void> {
  const script = `rm -rf "$1"; rmdir ${SAMPLE_CGROUP} 2> /dev/null; true`;
  const argv = ['/bin/sh', '-c', script, 'remove', `${BENCH}/${name}`];
  await runInGuest(agent, { argv }, { limitMs: SMALL_LIMIT_MS, signal });
}

/**
 * Begins each script: a root of the layers, with the guest's /dev, since the translator and its cache are below it
 * (protocol.ts, RVM_DIR), and its root at /mnt, so that its own hyperfine, a native program, runs inside. It is in a
 * mount namespace of its own and ends with it. Parameters: lower folders, upper folder, folder for both of overlayfs's own.
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
  await inNamespace(agent, SETUP, [tree, setup, scratch, ...argv], limits);
}

/**
 * One sample. What an earlier one left running is ended first, and what it wrote is on the disk, so that neither costs
 * this one. The cgroup holds hyperfine and the command: hyperfine's own start is in its counts, not in its time. Further
 * parameters: working directory, product, command.
 */
const SAMPLE = [
  `group=${SAMPLE_CGROUP}`,
  'if test -d "$group"; then echo 1 > "$group/cgroup.kill"; fi',
  'for try in 1 2 3 4 5 6 7 8 9 10; do test ! -d "$group" || rmdir "$group" 2> /dev/null || sleep 0.1; done',
  ...ENTER,
  `results=${RESULTS} libraries=/mnt/usr/lib/aarch64-linux-gnu`,
  'directory=$4 product=$5 command=$6',
  'mkdir -p "$root$results"',
  `echo '+cpu +memory +io' > ${CGROUP}/cgroup.subtree_control`,
  'mkdir "$group"',
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
  'for file in cpu.stat memory.peak io.stat; do echo "# $file"; cat "$group/$file" 2> /dev/null || true; done',
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
  const stdout = await inNamespace(
    agent,
    SAMPLE,
    [`${setup}:${tree}`, `${scratch}/upper`, scratch, directory, product, shellQuote(command)],
    { limitMs: limitMs + OVERHEAD_MS, signal },
  );
  return readSample(stdout);
}

/** Reads what the script printed. Throws `E_INVALID`. */
export function readSample(stdout: string): GuestSample {
  const sections = new Map(
    stdout.split(/^# /m).map((section) => {
      const end = section.indexOf('\n');
      return [section.slice(0, end), section.slice(end + 1)] as const;
    }),
  );
  const section = (name: string): string => sections.get(name) ?? '';
  const [since, until] = section('span').trim().split(' ').map(Number);
  const timed = parseExport(section('hyperfine'));
  return {
    value: timed.median,
    timed,
    product: section('product').split(' ')[0] ?? '',
    counts: cgroupCounts({
      cpuStat: section('cpu.stat'),
      memoryPeak: section('memory.peak'),
      ioStat: section('io.stat'),
    }),
    sinceMs: since ?? 0,
    untilMs: until ?? 0,
  };
}

async function inNamespace(
  agent: AgentClient,
  script: string,
  parameters: readonly string[],
  limits: CallLimits,
): Promise<string> {
  const argv = [
    ...['/usr/bin/unshare', '--mount', '--propagation', 'private'],
    ...['/bin/sh', '-c', script, 'bench', ...parameters],
  ];
  return (await runInGuest(agent, { argv, env: ENVIRONMENT }, limits)).stdout;
}
