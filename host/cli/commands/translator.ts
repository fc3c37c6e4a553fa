/** `rosetta-vm translator`: another translator in a running machine. */
import { Argument, Command } from 'commander';
import type { TranslatorName } from '../../../guest/protocol.ts';
import type { CommandContext } from '../context.ts';
import { jsonOption, machineArgument } from '../options.ts';
import { describeTranslator } from '../status-text.ts';

const EXAMPLES = `
Only programs that start afterwards are affected; the next boot goes by the
machine's own settings again.

Example:
  rosetta-vm translator default qemu`;

export function translatorCommand(context: CommandContext): Command {
  return new Command('translator')
    .summary('switch the translator of a running machine')
    .description('Registers another translator in a running machine, and proves it by running a program.')
    .addArgument(machineArgument())
    .addArgument(new Argument('<name>', 'translator').choices(['box64', 'qemu', 'rosetta']))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (machine: string, name: TranslatorName) => {
      const agent = await (await context.machines()).agent(machine);
      const status = await agent.translatorSwitch({ name });
      if (context.json) return context.printJson([status]);
      context.print(`${describeTranslator(status)}\n`);
    });
}
