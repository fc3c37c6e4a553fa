/** fio, native, on the data disk. */
import { z } from 'zod';
import { DATA_DIR } from '../../guest/protocol.ts';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import { ensureGuestTree, type TreeOptions } from '../guest-tree.ts';
import type { Arm } from '../session.ts';
import type { FioBenchmark, Suite } from '../suites/schema.ts';
import { blameArm } from './arm-failure.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import type { DiskPlace } from './disk-machines.ts';
import { inNamespaces } from './guest-namespaces.ts';
import { countsOf, PRINT_COUNTS, REMOVE_GROUP, sectionsOf, TAKE_GROUP } from './sample-group.ts';

const FOLDER = `${DATA_DIR}/bench/fio`;
const CLEAR_LIMIT_MS = 60_000;

/** fio's JSON (its stat.c, show_thread_status_json): rates are bytes and operations a second, runtime is ms. */
const direction = z.object({ iops: z.number(), bw_bytes: z.number(), io_bytes: z.number(), runtime: z.number() });
const job = z.object({ error: z.int(), read: direction, write: direction });
const outputSchema = z.object({ jobs: z.array(job).min(1).max(1000) });
type Output = z.infer<typeof outputSchema>;

/**
 * Sum over the jobs and both directions. Throws `E_VERIFY` when a job failed or did something else than `options` ask,
 * `E_INVALID` for what is no such output.
 */
export function readFio(text: string, { metric, options }: Pick<FioBenchmark, 'metric' | 'options'>): number {
  const output = parse(text);
  const failed = output.jobs.find(({ error }) => error !== 0);
  if (failed !== undefined) {
    throw wrongWork('A job of fio failed.', `It reports error ${failed.error} (errno(3)).`);
  }
  checkWork(output, options);
  return sumOf(output, (one) => (metric === 'iops' ? one.iops : one.bw_bytes));
}

const sumOf = ({ jobs }: Output, value: (one: z.infer<typeof direction>) => number): number =>
  jobs.reduce((sum, { read, write }) => sum + value(read) + value(write), 0);

/** Of the time that was asked for; fio ends within a few requests of it. */
const LEAST_SHARE_OF_TIME = 0.9;

/** fio does less than it was asked without calling it an error: a rate of nearly nothing would pass for a measurement. */
function checkWork(output: Output, options: FioBenchmark['options']): void {
  const { jobs } = output;
  const rw = String(options.rw);
  for (const name of ['read', 'write'] as const) {
    const bytes = jobs.reduce((sum, one) => sum + one[name].io_bytes, 0);
    const asked = rw.includes(name) || /^(?:rand)?rw$/.test(rw);
    if (asked === bytes > 0) continue;
    throw wrongWork('fio did something else than it was asked.', `It says ${name} of ${bytes} bytes for rw=${rw}.`);
  }
  const wanted = Number(options.numjobs ?? 1) * (fioBytes(options.size) - fioBytes(options.bs));
  const moved = sumOf(output, (one) => one.io_bytes);
  const lasted = Math.max(...jobs.flatMap(({ read, write }) => [read.runtime, write.runtime])) / 1000;
  const runtime = Number(options.runtime ?? Number.POSITIVE_INFINITY);
  // Time-based, it goes over its files again and again; else it ends with them, or when the time is over.
  const inTime = lasted >= LEAST_SHARE_OF_TIME * runtime;
  if (inTime || (options.time_based !== 1 && moved >= wanted)) return;
  throw wrongWork('fio ended before its work was done.', `It moved ${moved} bytes in ${lasted} s.`);
}

/** `128m`, `4k`, `2300`: its units are powers of 1024 (fio(1), kb_base). */
function fioBytes(value: string | number | undefined): number {
  const [, amount = '0', unit = ''] = /^(\d+)([kmg]?)$/.exec(String(value)) ?? [];
  return Number(amount) * 1024 ** ' kmg'.indexOf(unit === '' ? ' ' : unit);
}

const wrongWork = (what: string, why: string): RosettaVmError =>
  new RosettaVmError('E_VERIFY', {
    what,
    why,
    fix: 'The data disk may be full: `rosetta-vm status` shows what is free.',
  });

function parse(text: string): Output {
  try {
    // Warnings may stand before the JSON.
    return outputSchema.parse(JSON.parse(text.slice(Math.max(0, text.indexOf('{')))));
  } catch (cause) {
    throw new RosettaVmError('E_INVALID', {
      what: 'fio’s result cannot be read.',
      why: `It begins with ${JSON.stringify(text.slice(0, 200))}.`,
      fix: 'Report it with fio’s version.',
      cause,
    });
  }
}

/**
 * The files are new for each sample, and the caches are empty (Documentation/admin-guide/sysctl/vm.rst, drop_caches).
 * Parameters: tree, folder, fio's arguments.
 */
const SCRIPT = [
  'tree=$1 folder=$2',
  'shift 2',
  ...TAKE_GROUP,
  'rm -rf "$folder"',
  'mkdir -p "$folder"',
  'mount --rbind /dev "$tree/dev"',
  'mount --bind /proc "$tree/proc"',
  'mount --bind "$folder" "$tree/mnt"',
  'sync',
  'echo 3 > /proc/sys/vm/drop_caches',
  'result=$(echo 0 > "$group/cgroup.procs"; exec chroot "$tree" /usr/bin/fio "$@")',
  PRINT_COUNTS,
  'echo "# fio"; printf "%s\\n" "$result"',
].join('\n');

/** An arm of it: the machine that it is measured in, and fio there. */
interface Placed extends DiskPlace {
  readonly tree: string;
}

/** Throws what making a machine for an arm throws, and a Debian tree in it, which `treeOf` makes. */
export async function prepareFio(
  bench: Bench,
  suite: Suite,
  benchmark: FioBenchmark,
  arms: readonly Arm[],
  treeOf: (options: TreeOptions) => Promise<string> = ensureGuestTree,
): Promise<BenchmarkRunner> {
  const { signal } = bench;
  const placed = new Map<string, Placed>();
  for (const { dimensions } of arms) {
    const { disk = '' } = dimensions;
    const place = await blameArm(`The machine of disk=${disk}`, () => bench.diskPlace(disk));
    placed.set(disk, { ...place, tree: await treeOf(fioTree(bench, place.agent, suite, benchmark)) });
  }
  const options = Object.entries(benchmark.options).map(([key, value]) => `--${key}=${value}`);
  const fio = ['--name=bench', '--directory=/mnt', '--output-format=json', '--group_reporting=1', ...options];
  return {
    unit: benchmark.metric === 'iops' ? 'operations-per-second' : 'bytes-per-second',
    smallerIsBetter: false,
    // The first files make the disk's own file grow, which is on the host and sparse.
    warmUps: 1,
    sample: async ({ dimensions }): Promise<Sample> => {
      const place = placed.get(dimensions.disk ?? '');
      if (place === undefined) throw new Error('The benchmark is not prepared for this arm.');
      const { agent, tree, disk } = place;
      const limits = { limitMs: benchmark.limitSeconds * 1000, signal };
      const section = sectionsOf(await inNamespaces(agent, SCRIPT, [tree, FOLDER, ...fio], limits));
      const value = readFio(section('fio'), benchmark);
      return { value, counts: countsOf(section), ...(disk === undefined ? {} : { disk }) };
    },
    dispose: async () => {
      const limits = { limitMs: CLEAR_LIMIT_MS, signal: AbortSignal.timeout(CLEAR_LIMIT_MS) };
      // A machine that was made for an arm goes with all of its files.
      const lasting = [...placed.values()].filter(({ disk }) => disk === undefined);
      const argv = ['/bin/sh', '-c', `rm -rf "$1"; ${REMOVE_GROUP}`, 'remove', FOLDER];
      for (const { agent } of lasting) await runInGuest(agent, { argv }, limits);
    },
  };
}

const fioTree = (
  { paths, mirror, signal, onProgress }: Bench,
  agent: AgentClient,
  { suite, trees }: Suite,
  { tree }: FioBenchmark,
): TreeOptions => ({
  ...{ agent, paths, mirror, signal, onProgress },
  ...{ name: `bench-${suite}-${tree}-arm64`, packages: trees[tree] ?? [], architecture: 'arm64' },
});
