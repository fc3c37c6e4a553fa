/** The probe of a build's step, as commands run it. */
import { type ProbeResult, probeBuild } from '../build/probe.ts';
import type { AgentClient } from '../channel/agent-client.ts';
import { stage } from '../progress.ts';
import type { CommandContext } from './context.ts';

/** Builds it with the progress of a command. Throws what `agentOf` and {@link probeBuild} throw. */
export async function probeStep(
  context: CommandContext,
  agentOf: (signal: AbortSignal) => Promise<AgentClient>,
): Promise<ProbeResult> {
  const signal = context.interrupts();
  const agent = await agentOf(signal);
  const result = await stage(context.progress(), 'build.probe', 'Building the probe', () => probeBuild(agent, signal));
  context.endProgress();
  return result;
}
