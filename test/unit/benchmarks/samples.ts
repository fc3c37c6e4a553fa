/** Results and records as the demo makes them, for tests. */
import { promisedNumbers } from '../../../benchmarks/goals.ts';
import type { HyperfineResult } from '../../../benchmarks/hyperfine.ts';
import type { BenchmarkRecord } from '../../../benchmarks/record.ts';
import type { StepTimes } from '../../../benchmarks/step-times.ts';
import type { Mode } from '../../../benchmarks/workloads.ts';
import { timed } from './runner/samples.ts';

/** One run of that many seconds. */
export const result = (workload: string, mode: Mode, seconds: number): HyperfineResult => ({
  ...timed(seconds),
  command: workload,
  parameters: { workload, mode },
});

/** Builds as the whole demo makes them: the configure step in all modes, the compile step in four. */
export const build: readonly StepTimes[] = [
  { step: 'configure', mode: 'no-cache', times: [30] },
  { step: 'configure', mode: 'cold', times: [32] },
  { step: 'configure', mode: 'warm', times: [12] },
  { step: 'configure', mode: 'qemu', times: [48] },
  { step: 'configure', mode: 'restarted', times: [12.6] },
  { step: 'configure', mode: 'recreated', times: [18] },
  { step: 'make', mode: 'no-cache', times: [66] },
  { step: 'make', mode: 'warm', times: [33] },
];

export function record(): BenchmarkRecord {
  const results = [
    result('gcc-hello', 'no-cache', 18.25),
    result('gcc-hello', 'cold', 20),
    result('gcc-hello', 'warm', 6.5),
    result('gcc-hello', 'qemu', 26),
    result('perl-start', 'no-cache', 1.4),
    result('perl-start', 'warm', 0.7),
  ];
  const start = { agentReady: [6], bareNode: [5], hostWork: [0.8] };
  const command = { version: [0.05], node: [0.04] };
  return {
    schemaVersion: 1,
    version: '0.1.0',
    date: '2026-11-24T12:00:00.000Z',
    host: {
      cpu: 'Neoverse-N1',
      cpus: 2,
      memoryBytes: 8 * 1024 ** 3,
      os: 'Debian GNU/Linux 13 (trixie)',
      arch: 'arm64',
      node: '20.19.2',
      qemu: '10.0.3',
      execution: 'emulated',
      guest: { kernel: '6.12.48', memoryBytes: 2 * 1024 ** 3, image: '0123456789abcdef' },
    },
    translators: [{ name: 'box64', version: '0.4.3', build: 'ab'.repeat(32), flags: 'F', proved: true }],
    results,
    rejected: [{ workload: 'gcc-lz', mode: 'warm', reason: 'The run made something else than the first one.' }],
    cache: [{ workload: 'gcc-hello', entries: 9, bytes: 21 * 1024 ** 2 }],
    build,
    start,
    command,
    numbers: promisedNumbers({ results, build, quick: false, start, version: command, hostProcessBytes: 70e6 }),
  };
}
