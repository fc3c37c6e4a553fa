/** From a benchmark as data to one that can be sampled. */
import { runInGuest } from '../../host/channel/guest-command.ts';
import { asRosettaVmError, RosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import type { Bench, BenchmarkRunner } from './benchmark-runner.ts';
import { prepareBoot } from './boot-runner.ts';
import { prepareChannel } from './channel-runner.ts';
import { prepareCommand } from './command-runner.ts';
import { prepareFio } from './fio-runner.ts';
import type { Planned } from './run-session.ts';

export async function prepareBenchmark(bench: Bench, { chosen, arms }: Planned): Promise<BenchmarkRunner> {
  const { suite, benchmark } = chosen;
  switch (benchmark.kind) {
    case 'command':
      return await prepareCommand(bench, suite, benchmark, arms);
    case 'fio':
      return await prepareFio(bench, suite, benchmark, arms);
    case 'boot':
      return await prepareBoot(bench, benchmark);
    case 'channel':
      return await prepareChannel(bench, benchmark);
  }
}

const LIMIT_MS = 60_000;

/** Throws `E_HOST_MISSING` when the guest's image is of a version that had no hyperfine, or is damaged. */
export async function requireHyperfine(agent: AgentClient, signal: AbortSignal): Promise<void> {
  try {
    await runInGuest(agent, { argv: ['/usr/bin/hyperfine', '--version'] }, { limitMs: LIMIT_MS, signal });
  } catch (error) {
    if (asRosettaVmError(error).code !== 'E_EXEC') throw error;
    throw new RosettaVmError('E_HOST_MISSING', {
      what: 'hyperfine is not in the machine.',
      why: 'Every sample is timed by it; the guest image of rosetta-vm brings it as /usr/bin/hyperfine.',
      fix: 'Make the machine anew with the current image: `rosetta-vm down`, `rosetta-vm delete --keep-data`, `rosetta-vm up`.',
      cause: error,
    });
  }
}
