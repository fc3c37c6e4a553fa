/** The command tree. Declaring a command loads nothing but commander; what it works with is loaded when it runs. */
import { Command } from 'commander';
import { version } from '../version.ts';
import { agentRestartCommand } from './commands/agent-restart.ts';
import { buildCommand } from './commands/build.ts';
import { cacheCommand } from './commands/cache.ts';
import { completeCommand, completionCommand } from './commands/completion.ts';
import { configCommand } from './commands/config.ts';
import { deleteCommand } from './commands/delete.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downCommand } from './commands/down.ts';
import { envCommand } from './commands/env.ts';
import { execCommand } from './commands/exec.ts';
import { imageCommand } from './commands/image.ts';
import { listCommand } from './commands/list.ts';
import { logsCommand } from './commands/logs.ts';
import { shellCommand } from './commands/shell.ts';
import { statusCommand } from './commands/status.ts';
import { translatorCommand } from './commands/translator.ts';
import { upCommand } from './commands/up.ts';
import type { CommandContext } from './context.ts';

const EPILOGUE = `
Start with:
  rosetta-vm doctor --fix             install what this host lacks
  rosetta-vm up                       make and start the machine "default"
  rosetta-vm shell                    look around in it

Environment:
  ROSETTA_VM_HOME  folder of all state (default: XDG folders on Linux, ~/.rosetta-vm on macOS)
  NO_COLOR         no colours`;

/** Every error is thrown, none printed, and nothing exits: main.ts does both. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('rosetta-vm')
    .description('A small VM that runs x86_64 Linux programs on arm64, with one translation cache for all of them.')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', EPILOGUE);
  program.commandsGroup('Machines:');
  for (const make of [
    upCommand,
    buildCommand,
    execCommand,
    shellCommand,
    logsCommand,
    envCommand,
    statusCommand,
    listCommand,
    downCommand,
    deleteCommand,
  ]) {
    program.addCommand(make(context));
  }
  program.commandsGroup('Translation:');
  program.addCommand(cacheCommand(context));
  program.addCommand(translatorCommand(context));
  program.commandsGroup('Host and images:');
  program.addCommand(doctorCommand(context));
  program.addCommand(imageCommand(context));
  program.addCommand(configCommand(context));
  program.addCommand(completionCommand(context));
  program.helpCommand('help [command]', 'show help');
  program.commandsGroup('For people who work on rosetta-vm:');
  program.addCommand(agentRestartCommand(context));
  program.addCommand(completeCommand(context), { hidden: true });
  prepare(program, context);
  return program;
}

/**
 * Settings of a whole tree: no error is printed, nothing exits. Commander copies them to subcommands only when it makes
 * them itself (`command()`).
 */
export function prepare(command: Command, context: CommandContext): void {
  command
    .helpOption('-h, --help', 'show help')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({
      showGlobalOptions: false,
      styleTitle: (title) => context.style.bold(title),
      subcommandTerm: (one) => [one.name(), ...one.registeredArguments.map(humanArgument)].join(' '),
    });
  for (const subcommand of command.commands) prepare(subcommand.helpCommand(false), context);
}

const humanArgument = (argument: { name(): string; required: boolean; variadic: boolean }): string => {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
};
