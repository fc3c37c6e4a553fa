/** Sessions and samples as the runner makes them, for tests. */
import type { HyperfineResult } from '../../../../benchmarks/hyperfine.ts';
import type { Arm, Fingerprint, Session } from '../../../../benchmarks/session.ts';

/** One run of that many seconds. */
export const timed = (seconds: number): HyperfineResult => ({
  command: 'true',
  mean: seconds,
  stddev: null,
  median: seconds,
  user: seconds,
  system: 0,
  min: seconds,
  max: seconds,
  times: [seconds],
  exit_codes: [0],
});

export const fingerprint: Fingerprint = {
  os: 'Debian GNU/Linux 13 (trixie)',
  architecture: 'x64',
  cpu: 'A CPU',
  hostCpus: 2,
  hostMemoryBytes: 8 * 2 ** 30,
  driver: 'qemu',
  accelerator: 'tcg',
  guestKernel: '6.12.0',
  translators: { box64: 'ab'.repeat(32) },
  image: '0123456789abcdef',
  disk: 'nvme, file',
  cpus: 2,
  memoryMiB: 2048,
  powerState: 'unknown',
};

export const OFF: Arm = { native: false, dimensions: { cache: 'off', translator: 'box64' } };
export const WARM: Arm = { native: false, dimensions: { cache: 'warm', translator: 'box64' } };
export const NATIVE: Arm = { native: true, dimensions: {} };

/** A whole session of one benchmark in one arm. */
export function aSession({ values, rejected = 0 }: { readonly values: number[]; readonly rejected?: number }): Session {
  const subject = { suite: 'exec', benchmark: 'true', arm: OFF };
  return {
    schemaVersion: 1,
    kind: 'rosetta-vm-bench',
    id: '20261126T120000Z-01234567',
    date: '2026-11-26T12:00:00.000Z',
    clockJumpMs: 0,
    version: '0.1.0',
    commit: null,
    tier: 'quick',
    state: 'complete',
    fingerprint,
    measurements: [
      {
        ...subject,
        unit: 'seconds',
        smallerIsBetter: true,
        values,
        rounds: values.map(() => 1),
        counts: values.map(() => ({})),
      },
    ],
    rejected: Array.from({ length: rejected }, () => ({ ...subject, reason: 'It failed.' })),
    results: [],
  };
}
