/** A machine that runs, started when it does not: for commands that need one and say nothing about how it is made. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../channel/agent-client.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { Machines } from '../machine/machines.ts';
import type { MachineSpec } from '../spec/spec.ts';
import type { CommandContext } from './context.ts';

/** dockerd needs about 20 s under emulation, more after a power cut. */
const ENGINE_LIMIT_MS = 180_000;
const ENGINE_POLL_MS = 250;

/** Resolves to the agent of a machine whose engine answers; makes and starts the machine as `rosetta-vm up` would. */
export async function runningMachine(context: CommandContext, name: string, signal: AbortSignal): Promise<AgentClient> {
  const agent = await startedMachine(context, name, signal);
  await waitForEngine(agent, name, signal);
  return agent;
}

/** The same for those who do without Docker. */
export async function startedMachine(context: CommandContext, name: string, signal: AbortSignal): Promise<AgentClient> {
  const machines = await context.machines();
  const existing = await machines.status(name).catch((error: unknown) => {
    if (asRosettaVmError(error).code === 'E_NOT_FOUND') return null;
    throw error;
  });
  if (existing?.state !== 'running') await start(context, machines, name, existing?.spec ?? null, signal);
  return await machines.agent(name);
}

async function start(
  context: CommandContext,
  machines: Machines,
  name: string,
  remembered: MachineSpec | null,
  signal: AbortSignal,
): Promise<void> {
  const { spec } = await machines.loadSpec({ cwd: process.cwd(), remembered });
  await machines.up(name, spec, { signal, onProgress: context.progress() });
}

export async function waitForEngine(agent: AgentClient, name: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ENGINE_LIMIT_MS;
  for (;;) {
    const { engine } = await agent.health({ signal });
    if (engine.state === 'ready') return;
    if (engine.state === 'off') throw noEngine(name, 'Its settings say `engine: enabled: false`.');
    if (performance.now() > deadline) throw noEngine(name, engine.reason ?? 'It has not answered yet.');
    await sleep(ENGINE_POLL_MS, undefined, { signal });
  }
}

const noEngine = (name: string, why: string): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `Docker does not run in the machine ${name}.`,
    why,
    fix: `\`rosetta-vm logs ${name} --engine\` shows what Docker says.`,
    facts: { machine: name },
  });
