/** `rosetta-vm agent-restart`: a newly built agent into a running machine (`npm run vm:agent`). */
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { optionalMachineArgument } from '../options.ts';

export function agentRestartCommand(context: CommandContext): Command {
  return new Command('agent-restart')
    .summary('bring a newly built agent into a machine')
    .description(
      'Copies the built agent to the machine’s boot share and restarts the agent there. Programs that it runs end.',
    )
    .addArgument(optionalMachineArgument())
    .action(async (name: string) => {
      await (await context.machines()).refreshAgent(name);
      context.print(`${context.style.bold(name)} runs the new agent\n`);
    });
}
