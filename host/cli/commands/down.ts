/** `rosetta-vm down` */
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { optionalMachineArgument } from '../options.ts';

export function downCommand(context: CommandContext): Command {
  return new Command('down')
    .summary('stop a machine')
    .description('Stops a machine: its agent is asked first, then the power button; the power is cut last.')
    .addArgument(optionalMachineArgument())
    .option('--force', 'cut the power at once; what the guest has not written to its disk is lost')
    .action(async (name: string, { force = false }: { force?: boolean }) => {
      const machines = await context.machines();
      await machines.down(name, { force, onProgress: context.progress() });
      context.endProgress();
      context.print(`${context.style.bold(name)} is stopped\n`);
    });
}
