/** From arguments to an exit status: runs a command and words whatever it throws. */
import { type Command, CommanderError } from 'commander';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { CommandContext } from './context.ts';
import { renderError } from './error-text.ts';
import { createProgram } from './program.ts';
import { widthOf } from './style.ts';

/** Runs the command line and resolves to the exit status (design: exit codes). Never throws. */
export const main = (argv: readonly string[]): Promise<number> => runProgram(argv, createProgram);

/** The same for any command tree that was made ready with `prepare` (program.ts). */
export async function runProgram(
  argv: readonly string[],
  create: (context: CommandContext) => Command,
): Promise<number> {
  const context = new CommandContext({ json: wantsJson(argv) });
  watchOutput(context);
  const program = create(context);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return context.exitStatus;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    // Commander has printed the help of a command that was given no subcommand.
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return 2;
    const usage = thrown instanceof CommanderError;
    return reportFailure(context, usage ? usageError(thrown, program, argv) : asRosettaVmError(thrown));
  } finally {
    context.close();
  }
}

/** Tells what went wrong, for people or as JSON, and answers with the exit status. */
function reportFailure(context: CommandContext, error: RosettaVmError): number {
  context.endProgress();
  context.tell(
    context.json
      ? `${JSON.stringify({ schemaVersion: 1, error })}\n`
      : renderError(error, context.errorStyle, widthOf(process.stderr)),
  );
  if (error.code === 'E_ABORTED') return context.interruptStatus ?? error.exitStatus;
  return context.failureStatus ?? error.exitStatus;
}

/**
 * A reader that has seen enough (`| head`) is no failure: the process ends at once and quietly. Output that cannot be
 * kept (a full disk) is one. Nobody left to read stderr is no reason to stop.
 */
function watchOutput(context: CommandContext): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    process.exit(reportFailure(context, asRosettaVmError(error)));
  });
  process.stderr.on('error', () => {});
}

/** Errors of the parser itself are JSON too when `--json` was given, so it is looked for before anything is parsed. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).includes('--json');
}

/** Commander's message is one line, followed by one with its suggestion. */
function usageError(error: CommanderError, program: Command, argv: readonly string[]): RosettaVmError {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const meant = /^\(Did you mean (.+)\?\)$/.exec(suggestion ?? '')?.[1];
  return new RosettaVmError('E_USAGE', {
    what: `${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.$/, '')}.`,
    why: WHY_USAGE[error.code]?.(program.name()) ?? 'The command line does not have the documented form.',
    fix: meant === undefined ? `\`${helpFor(program, argv)}\` shows what is possible.` : `Did you mean ${meant}?`,
    facts: { reason: error.code.replace(/^commander\./, ''), suggestion: meant ?? null },
  });
}

/** How to ask for the help of the command that was meant, as far as the words name one. */
function helpFor(program: Command, argv: readonly string[]): string {
  const path = [program];
  for (const word of argv) {
    const next = path.at(-1)?.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) break;
    path.push(next);
  }
  return `${path.map((one) => one.name()).join(' ')} --help`;
}

const WHY_USAGE: Readonly<Record<string, (program: string) => string>> = {
  'commander.unknownCommand': (program) => `${program} has no such command.`,
  'commander.unknownOption': (program) =>
    program === 'rosetta-vm'
      ? 'The command has no such flag. A program’s own flags come after “--”, as in `rosetta-vm exec NAME -- ls -l`.'
      : 'The command has no such flag.',
  'commander.missingArgument': () => 'The command cannot do without it.',
  'commander.optionMissingArgument': () => 'The flag needs a value after it.',
  'commander.excessArguments': () => 'More words were given than the command takes.',
  'commander.invalidArgument': () => 'Only the values named are possible.',
  'commander.conflictingOption': () => 'The two contradict each other.',
};
