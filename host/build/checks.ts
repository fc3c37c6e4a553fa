/** What builds come to in the machines that run, as `doctor` shows it: from inside a step, not from what was configured. */
import type { Capability } from '../drivers/driver.ts';
import { asRosettaVmError } from '../errors.ts';
import type { Machines } from '../machine/machines.ts';
import { type ProbeResult, probeBuild } from './probe.ts';

/** The probe takes about six seconds under emulation, and less than one elsewhere. */
const LIMIT_MS = 60_000;

/** Builds the probe in every running machine that has Docker. Never rejects. */
export async function buildChecks(machines: Machines, signal: AbortSignal): Promise<Capability[]> {
  const running = (await machines.list()).filter(({ engine }) => engine?.state === 'ready');
  return await Promise.all(running.map(({ name }) => check(machines, name, signal)));
}

async function check(machines: Machines, name: string, signal: AbortSignal): Promise<Capability> {
  try {
    const agent = await machines.agent(name);
    return verdict(name, await probeBuild(agent, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])));
  } catch (error) {
    const { what, why, fix } = asRosettaVmError(error);
    return { id: 'build', status: 'degraded', what: `x86_64 builds in ${name} fail`, why: `${what} ${why}`, fix };
  }
}

function verdict(name: string, { translator, cache }: ProbeResult): Capability {
  const what = `x86_64 builds in ${name} run in ${translator ?? 'a translator that is not counted'}`;
  if (cache) return { id: 'build', status: 'ok', what: `${what}, with the translation cache`, why: '', fix: '' };
  return {
    id: 'build',
    status: 'degraded',
    what: `${what}, without the translation cache`,
    why: 'A step of a build did not find the cache.',
    fix: `\`rosetta-vm status ${name}\` says why; \`rosetta-vm cache on ${name}\` switches it on.`,
  };
}
