/** fio in a guest that answers as its scripts do. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Bench } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { prepareFio } from '../../../../benchmarks/runner/fio-runner.ts';
import type { Arm } from '../../../../benchmarks/session.ts';
import { type FioBenchmark, parseSuite } from '../../../../benchmarks/suites/schema.ts';

const suite = parseSuite(
  {
    suite: 'disk',
    title: 'Disk',
    trees: { fio: ['fio'] },
    benchmarks: [
      {
        ...{ id: 'write', kind: 'fio', title: 'writes', tier: 'quick', tree: 'fio', metric: 'iops', limitSeconds: 10 },
        options: { rw: 'write', bs: '4k', size: '1m' },
      },
    ],
  },
  'disk.yaml',
);
const NVME: Arm = { native: false, dimensions: { disk: 'nvme' } };

const none = { iops: 0, bw_bytes: 0, io_bytes: 0, runtime: 0 };
const fio = { jobs: [{ error: 0, read: none, write: { iops: 9, bw_bytes: 1, io_bytes: 2 ** 20, runtime: 100 } }] };
const printed = `# cpu.stat\nuser_usec 7\nsystem_usec 3\n# memory.peak\n9\n# io.stat\n259:0 wbytes=1048576\n# fio\nfio: a warning\n${JSON.stringify(fio, null, 2)}\n`;

describe('a sample of fio', () => {
  test('has what the kernel counted beside its rate, after an untimed run, and reaches no network', async () => {
    const argvs: (readonly string[])[] = [];
    const agent = {
      exec: async ({ argv }: { readonly argv: readonly string[] }) => {
        argvs.push(argv);
        return {
          ...{ stdout: Readable.from([Buffer.from(printed)]), stderr: Readable.from([]), close: () => {} },
          exit: Promise.resolve({ code: 0, signal: null }),
        };
      },
    } as unknown as Bench['agent'];
    const bench = { agent, diskPlace: async () => ({ agent }), signal: new AbortController().signal };
    const [benchmark] = suite.benchmarks as [FioBenchmark];
    const runner = await prepareFio(bench as unknown as Bench, suite, benchmark, [NVME], async () => '/data/roots/fio');
    expect(runner.warmUps).toBe(1);
    expect(await runner.sample(NVME)).toEqual({
      value: 9,
      counts: { cpuUserUsec: 7, cpuSystemUsec: 3, memoryPeakBytes: 9, readBytes: 0, writtenBytes: 2 ** 20 },
    });
    expect(argvs[0]).toContain('--net');
    await runner.dispose();
    expect(argvs.at(-1)?.join(' ')).toContain('rmdir /sys/fs/cgroup/rosetta-vm-bench');
  });
});
