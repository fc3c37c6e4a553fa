/** `rosetta-vm status`: one machine, in full. */
import { Command } from 'commander';
import type { CacheStats } from '../../../guest/translation-protocol.ts';
import type { ProbeResult } from '../../build/probe.ts';
import type { PublishedPort } from '../../docker/ports.ts';
import type { MachineStatus } from '../../machine/machine.ts';
import type { Machines } from '../../machine/machines.ts';
import { formatSize } from '../../spec/units.ts';
import type { CommandContext } from '../context.ts';
import { formatDuration } from '../format.ts';
import { jsonOption, optionalMachineArgument } from '../options.ts';
import { describeCache, describeEngine, describeProbe, describeTranslator } from '../status-text.ts';
import type { Style } from '../style.ts';
import { renderFields } from '../table.ts';
import { paintState } from './list.ts';

const EXAMPLES = `
The exit status is 0 whenever the machine exists. For scripts:
  rosetta-vm status ci --json | jq -e '.[0].state == "running"'`;

export function statusCommand(context: CommandContext): Command {
  return new Command('status')
    .summary('show one machine')
    .description('Shows a machine: which translator is really in use, its cache, disks, memory and processes.')
    .addArgument(optionalMachineArgument())
    .option('--probe', 'build a tiny x86_64 step in it, and show what that found')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { probe = false }: { probe?: boolean }) => {
      const machines = await context.machines();
      const found = probe ? await probeOf(context, machines, name) : undefined;
      const status = await machines.status(name);
      const stats = status.health === null ? null : await cacheStats(machines, name);
      if (context.json) return context.printJson([{ ...status, cacheStats: stats, ...(found && { probe: found }) }]);
      context.print(renderStatus(status, stats, Date.now(), context.style, found));
    });
}

/** Loaded late: a build's code is large, and a plain `status` needs none of it. */
async function probeOf(context: CommandContext, machines: Machines, name: string): Promise<ProbeResult> {
  const { probeStep } = await import('../probe-step.ts');
  return await probeStep(context, () => machines.agent(name));
}

/** Null when the machine stopped meanwhile or its cache cannot be looked at: that must not hide the rest. */
async function cacheStats(machines: Machines, name: string): Promise<CacheStats | null> {
  try {
    return await (await machines.agent(name)).cacheStats();
  } catch {
    return null;
  }
}

/** The machine's fields, one a line, with times as of `nowMs`. */
export function renderStatus(
  status: MachineStatus,
  stats: CacheStats | null,
  nowMs: number,
  style: Style,
  probe?: ProbeResult,
): string {
  const { name, state, reason, health, translator, cache, engine, docker, spec } = status;
  const fields: (readonly [string, string])[] = [];
  if (reason !== '') fields.push(['reason', reason]);
  if (translator !== null) fields.push(['translator', describeTranslator(translator)]);
  else if (spec !== null) fields.push(['translator', `${spec.translator}, when it runs`]);
  if (cache !== null) fields.push(['cache', describeCache(cache, stats)]);
  else if (spec !== null) fields.push(['cache', spec.cache.enabled ? 'on, when it runs' : 'off']);
  if (engine !== null) fields.push(['docker', describeEngine(engine, docker?.host)]);
  if (probe !== undefined) fields.push(['build step', describeProbe(probe)]);
  if (docker !== null && docker.ports.length > 0) fields.push(['ports', docker.ports.map(describePort).join('\n')]);
  if (health !== null) {
    const { totalBytes, availableBytes } = health.memory;
    fields.push(['memory', `${formatSize(totalBytes - availableBytes)} of ${formatSize(totalBytes)} in use`]);
    const where = spec?.disk.attachment === undefined ? '' : `, on ${spec.disk.attachment}`;
    fields.push(['data disk', `${describeDataDisk(health.dataDisk)}${where}`]);
    fields.push(['up for', formatDuration(health.uptimeSeconds * 1000)]);
    fields.push(['kernel', health.kernel]);
  }
  fields.push(['occupies', `${formatSize(status.diskBytes)}, of which data ${formatSize(status.dataDiskBytes)}`]);
  if (status.image !== null) fields.push(['image', status.image]);
  if (status.process !== null) {
    const { pid, version, startedAt, memoryBytes } = status.process;
    const age = formatDuration(Math.max(0, nowMs - startedAt));
    fields.push(['process', `${pid}, version ${version}, ${formatSize(memoryBytes)} resident, started ${age} ago`]);
  }
  fields.push(['folder', status.directory]);
  return `${style.bold(name)} is ${paintState(state, style)}\n${renderFields(fields, style.dim)}`;
}

function describePort({ protocol, port, problem }: PublishedPort): string {
  const suffix = protocol === 'tcp' ? '' : `/${protocol}`;
  return problem === null ? `127.0.0.1:${port}${suffix}` : `${port}${suffix}, not on this host: ${problem}`;
}

function describeDataDisk(disk: NonNullable<MachineStatus['health']>['dataDisk']): string {
  const { state, reason, totalBytes, freeBytes } = disk;
  if (state !== 'ready') return `${state}${reason === undefined ? '' : ` (${reason})`}`;
  if (totalBytes === undefined || freeBytes === undefined) return state;
  return `${formatSize(freeBytes)} of ${formatSize(totalBytes)} free`;
}
