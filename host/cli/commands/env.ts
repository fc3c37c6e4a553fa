/** `rosetta-vm env`: what a shell needs to reach a machine's Docker. */
import { Command } from 'commander';
import { RosettaVmError } from '../../errors.ts';
import type { MachineStatus } from '../../machine/machine.ts';
import type { CommandContext } from '../context.ts';
import { shellQuote } from '../format.ts';
import { jsonOption, optionalMachineArgument } from '../options.ts';

const EXAMPLES = `
After \`rosetta-vm up\` the docker command line finds the machine by itself: its
context is selected. This is for other tools, and for a second machine.

Examples:
  eval "$(rosetta-vm env ci)"         for all that this shell starts
  DOCKER_HOST=$(rosetta-vm env --docker-host) docker ps`;

export function envCommand(context: CommandContext): Command {
  return new Command('env')
    .summary('print how to reach a machine’s Docker')
    .description('Prints the variables by which docker, and programs like it, find a machine.')
    .addArgument(optionalMachineArgument())
    .option('--docker-host', 'print the value of DOCKER_HOST alone')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { dockerHost = false }: { dockerHost?: boolean }) => {
      const status = await (await context.machines()).status(name);
      const DOCKER_HOST = hostOf(status);
      if (context.json) context.printJson([{ DOCKER_HOST }]);
      else context.print(dockerHost ? `${DOCKER_HOST}\n` : `export DOCKER_HOST=${shellQuote([DOCKER_HOST])}\n`);
    });
}

function hostOf({ name, state, reason, spec, docker }: MachineStatus): string {
  if (docker !== null) return docker.host;
  const off = spec?.engine.enabled === false;
  throw new RosettaVmError('E_STATE', {
    what: `The machine ${name} has no Docker to reach.`,
    why: off ? 'Its description says engine.enabled: false.' : `It is ${state}. ${reason}`.trimEnd(),
    fix: off
      ? `Take that out of its description, then \`rosetta-vm down ${name}\` and \`rosetta-vm up ${name}\`.`
      : state === 'running'
        ? `\`rosetta-vm logs ${name} --boot\` shows what its guest does.`
        : `Start it with \`rosetta-vm up ${name}\`.`,
    facts: { name, state },
  });
}
