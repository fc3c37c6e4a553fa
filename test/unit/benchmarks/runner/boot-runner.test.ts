/** Starts of machines that only pretend. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Bench } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { prepareBoot } from '../../../../benchmarks/runner/boot-runner.ts';
import { bootBare } from '../../../../benchmarks/start.ts';
import type { BootBenchmark } from '../../../../benchmarks/suites/schema.ts';
import { type ErrorCode, RosettaVmError } from '../../../../host/errors.ts';
import type { Driver, Machines, VirtualMachine } from '../../../../host/index.ts';
import { statePaths } from '../../../../host/paths.ts';
import { parseSpec } from '../../../../host/spec/spec.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { NATIVE } from './samples.ts';

const BENCHMARK: BootBenchmark = {
  ...{ kind: 'boot', id: 'cold-up', title: 'a start', tier: 'quick', start: 'cold', limitSeconds: 600 },
};

const failure = (code: ErrorCode): RosettaVmError =>
  new RosettaVmError(code, { what: 'QEMU ended.', why: 'The test wants it.', fix: 'Nothing.' });

async function bench(machines: object): Promise<Bench> {
  const paths = statePaths({ ROSETTA_VM_HOME: await temporaryFolder() });
  return { machines, paths, spec: parseSpec({}), signal: new AbortController().signal } as unknown as Bench;
}

describe('a machine that fails', () => {
  test('when it is made breaks its own benchmark alone, and nothing of it is left', async () => {
    const calls: string[] = [];
    const machines = {
      up: () => Promise.reject(failure('E_VM_FAILED')),
      down: async () => calls.push('down'),
      delete: async () => calls.push('delete'),
    };
    await expect(prepareBoot(await bench(machines), BENCHMARK)).rejects.toMatchObject({
      ...{ code: 'E_EXEC', why: 'QEMU ended. The test wants it.', facts: { cause: 'E_VM_FAILED' } },
    });
    expect(calls.slice(-2)).toEqual(['down', 'delete']);
  });

  test.each([
    ['E_VM_FAILED', 'E_EXEC'],
    ['E_STATE', 'E_STATE'],
    ['E_ABORTED', 'E_ABORTED'],
    ['E_DISK_FULL', 'E_DISK_FULL'],
  ] as const)('in a start with %s: %s', async (thrown, code) => {
    const machines = {
      ...{ up: async () => {}, down: async () => {}, delete: async () => {} },
      dryRun: () => Promise.reject(failure(thrown)),
    };
    const runner = await prepareBoot(await bench(machines), BENCHMARK);
    await expect(runner.sample(NATIVE)).rejects.toMatchObject({ code });
  });
});

describe('the limit of a start', () => {
  test('is counted by the host’s clock from the first work for it, as a start with everything is', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const folder = await temporaryFolder();
    const plan = {
      serialLog: path.join(folder, 'serial.log'),
      boot: { commandLine: 'root=/dev/nvme0n1 rw' },
      runtime: { directory: path.join(folder, 'run') },
    };
    const machine = {
      state: 'stopped',
      start: async () => {
        vi.advanceTimersByTime(500);
        const end = '[    0.812345] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n';
        await writeFile(path.join(folder, 'bare.log'), end);
      },
      stop: async () => {},
    } as unknown as VirtualMachine;
    const driver: Pick<Driver, 'create'> = {
      create: async () => {
        vi.advanceTimersByTime(1_500);
        return machine;
      },
    };
    const machines = { dryRun: async () => ({ plan }) } as unknown as Machines;
    const options = { ...(await bench(machines)), name: 'bench-start' };
    expect(await bootBare(options, async () => driver)).toEqual({ node: 0.812345, whole: 2 });
  });
});
