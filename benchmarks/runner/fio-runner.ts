/** fio, native, on the data disk. */
import { z } from 'zod';
import { DATA_DIR } from '../../guest/protocol.ts';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { RosettaVmError } from '../../host/errors.ts';
import { ensureGuestTree } from '../guest-tree.ts';
import type { FioBenchmark, Suite } from '../suites/schema.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';

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

export async function prepareFio(bench: Bench, suite: Suite, benchmark: FioBenchmark): Promise<BenchmarkRunner> {
  const { agent, paths, mirror, signal, onProgress } = bench;
  const packages = suite.trees[benchmark.tree] ?? [];
  const name = `bench-${suite.suite}-${benchmark.tree}-arm64`;
  const tree = await ensureGuestTree({
    ...{ agent, paths, name, packages, mirror, signal, onProgress },
    architecture: 'arm64',
  });
  const options = Object.entries(benchmark.options).map(([key, value]) => `--${key}=${value}`);
  const fio = ['--name=bench', '--directory=/mnt', '--output-format=json', '--group_reporting=1', ...options];
  return {
    unit: benchmark.metric === 'iops' ? 'operations-per-second' : 'bytes-per-second',
    smallerIsBetter: false,
    warmUps: 0,
    sample: async (): Promise<Sample> => {
      const argv = [
        ...['/usr/bin/unshare', '--mount', '--propagation', 'private'],
        ...['/bin/sh', '-c', SCRIPT, 'fio', tree, FOLDER, ...fio],
      ];
      const limits = { limitMs: benchmark.limitSeconds * 1000, signal };
      return { value: readFio((await runInGuest(agent, { argv }, limits)).stdout, benchmark.metric), counts: {} };
    },
    dispose: async () => {
      const limits = { limitMs: CLEAR_LIMIT_MS, signal: AbortSignal.timeout(CLEAR_LIMIT_MS) };
      await runInGuest(agent, { argv: ['rm', '-rf', FOLDER] }, limits);
    },
  };
}
