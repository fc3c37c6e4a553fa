/** fio, native, on the data disk. */
import { z } from 'zod';
import { DATA_DIR } from '../../guest/protocol.ts';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import { ensureGuestTree } from '../guest-tree.ts';
import type { Arm } from '../session.ts';
import type { FioBenchmark, Suite } from '../suites/schema.ts';
import { blameArm } from './arm-failure.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import type { DiskPlace } from './disk-machines.ts';

const FOLDER = `${DATA_DIR}/bench/fio`;
const CLEAR_LIMIT_MS = 60_000;

/** fio's JSON (its stat.c, show_thread_status_json): rates are bytes and operations a second. */
const job = z.object({
  error: z.int(),
  read: z.object({ iops: z.number(), bw_bytes: z.number() }),
  write: z.object({ iops: z.number(), bw_bytes: z.number() }),
});
const outputSchema = z.object({ jobs: z.array(job).min(1).max(1000) });

/** Sum over the jobs and both directions. Throws `E_VERIFY` when a job failed, `E_INVALID` for what is no such output. */
export function readFio(text: string, metric: FioBenchmark['metric']): number {
  const { jobs } = parse(text);
  const failed = jobs.find(({ error }) => error !== 0);
  if (failed !== undefined) {
    throw new RosettaVmError('E_VERIFY', {
      what: 'A job of fio failed.',
      why: `It reports error ${failed.error} (errno(3)).`,
      fix: 'The data disk may be full: `rosetta-vm status` shows what is free.',
      facts: { error: failed.error },
    });
  }
  const of = ({ iops, bw_bytes }: (typeof jobs)[number]['read']): number => (metric === 'iops' ? iops : bw_bytes);
  return jobs.reduce((sum, one) => sum + of(one.read) + of(one.write), 0);
}

function parse(text: string): z.infer<typeof outputSchema> {
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
  'set -e',
  'tree=$1 folder=$2',
  'shift 2',
  'rm -rf "$folder"',
  'mkdir -p "$folder"',
  'mount --rbind /dev "$tree/dev"',
  'mount --bind /proc "$tree/proc"',
  'mount --bind "$folder" "$tree/mnt"',
  'sync',
  'echo 3 > /proc/sys/vm/drop_caches',
  'chroot "$tree" /usr/bin/fio "$@"',
].join('\n');

/** An arm of it: the machine that it is measured in, and fio there. */
interface Placed extends DiskPlace {
  readonly tree: string;
}

/** Throws what making a machine for an arm throws, and a Debian tree in it. */
export async function prepareFio(
  bench: Bench,
  suite: Suite,
  benchmark: FioBenchmark,
  arms: readonly Arm[],
): Promise<BenchmarkRunner> {
  const { signal } = bench;
  const placed = new Map<string, Placed>();
  for (const { dimensions } of arms) {
    const { disk = '' } = dimensions;
    const place = await blameArm(`The machine of disk=${disk}`, () => bench.diskPlace(disk));
    placed.set(disk, { ...place, tree: await fioTree(bench, place.agent, suite, benchmark) });
  }
  const options = Object.entries(benchmark.options).map(([key, value]) => `--${key}=${value}`);
  const fio = ['--name=bench', '--directory=/mnt', '--output-format=json', '--group_reporting=1', ...options];
  return {
    unit: benchmark.metric === 'iops' ? 'operations-per-second' : 'bytes-per-second',
    smallerIsBetter: false,
    warmUps: 0,
    sample: async ({ dimensions }): Promise<Sample> => {
      const place = placed.get(dimensions.disk ?? '');
      if (place === undefined) throw new Error('The benchmark is not prepared for this arm.');
      const { agent, tree, disk } = place;
      const argv = [
        ...['/usr/bin/unshare', '--mount', '--propagation', 'private'],
        ...['/bin/sh', '-c', SCRIPT, 'fio', tree, FOLDER, ...fio],
      ];
      const { stdout } = await runInGuest(agent, { argv }, { limitMs: benchmark.limitSeconds * 1000, signal });
      return { value: readFio(stdout, benchmark.metric), counts: {}, ...(disk === undefined ? {} : { disk }) };
    },
    dispose: async () => {
      const limits = { limitMs: CLEAR_LIMIT_MS, signal: AbortSignal.timeout(CLEAR_LIMIT_MS) };
      // A machine that was made for an arm goes with all of its files.
      const lasting = [...placed.values()].filter(({ disk }) => disk === undefined);
      for (const { agent } of lasting) await runInGuest(agent, { argv: ['rm', '-rf', FOLDER] }, limits);
    },
  };
}

async function fioTree(
  { paths, mirror, signal, onProgress }: Bench,
  agent: AgentClient,
  { suite, trees }: Suite,
  { tree }: FioBenchmark,
): Promise<string> {
  return await ensureGuestTree({
    ...{ agent, paths, mirror, signal, onProgress },
    ...{ name: `bench-${suite}-${tree}-arm64`, packages: trees[tree] ?? [], architecture: 'arm64' },
  });
}
