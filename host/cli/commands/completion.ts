/** `rosetta-vm completion`, and the hidden command that the scripts call on each Tab. */
import { Argument, Command } from 'commander';
import { complete } from '../completion.ts';
import { completionScript, type Shell } from '../completion-scripts.ts';
import type { CommandContext } from '../context.ts';

const EXAMPLES = `
Examples:
  bash   echo 'source <(rosetta-vm completion bash)' >> ~/.bashrc
  zsh    echo 'source <(rosetta-vm completion zsh)' >> ~/.zshrc
  fish   rosetta-vm completion fish > ~/.config/fish/completions/rosetta-vm.fish`;

export function completionCommand(context: CommandContext): Command {
  return new Command('completion')
    .summary('print a script for Tab completion')
    .description('Prints a completion script for a shell. Names of machines and images are completed too.')
    .addArgument(new Argument('<shell>', 'shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell) => context.print(completionScript(shell)));
}

/** Prints a candidate a line, after `--` and the words so far; the last is the one being typed. */
export function completeCommand(context: CommandContext): Command {
  return new Command('__complete')
    .argument('[words...]')
    .action(async (words: string[], _flags: unknown, self: Command) => {
      const program = self.parent ?? self;
      const names = {
        machine: async () => await (await import('../../machine/record.ts')).machineNames(context.paths),
        image: async () =>
          (await (await import('../../../images/index.ts')).listImages(context.paths)).map(({ name }) => name),
      };
      const { candidates, files } = await complete(program, words, names);
      const lines = candidates.map(({ value, description }) => `${value}\t${description}\n`);
      context.print(files === null ? lines.join('') : `:${files}\n`);
    });
}
