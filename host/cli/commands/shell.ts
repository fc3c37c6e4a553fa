/** `rosetta-vm shell` */
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { runSession } from '../exec-session.ts';
import { optionalMachineArgument } from '../options.ts';

const EXAMPLES = `
Without a terminal the shell reads its commands from stdin:
  echo 'uname -m' | rosetta-vm shell ci`;

export function shellCommand(context: CommandContext): Command {
  return new Command('shell')
    .summary('open a shell in a machine')
    .description('Opens a login shell in a running machine, as root.')
    .addArgument(optionalMachineArgument())
    .addHelpText('after', EXAMPLES)
    .action(async (machine: string) => {
      const tty = process.stdin.isTTY === true && process.stdout.isTTY === true;
      await runSession(context, machine, { argv: ['/bin/sh', '-l'], tty, stdin: true });
    });
}
