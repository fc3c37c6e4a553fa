/** The commands of `bench`. Declaring one loads nothing but commander; what it works with is loaded when it runs. */
import { Command } from 'commander';
import type { CommandContext } from '../../host/cli/context.ts';
import { prepare } from '../../host/cli/program.ts';
import { version } from '../../host/version.ts';
import { buildCommand } from './commands/build.ts';
import { calibrateCommand } from './commands/calibrate.ts';
import { compareCommand } from './commands/compare.ts';
import { historyCommand } from './commands/history.ts';
import { listCommand } from './commands/list.ts';
import { reportCommand } from './commands/report.ts';
import { runCommand } from './commands/run.ts';

const EPILOGUE = `
Start with:
  bench                               measure the quick tier: what the translation cache gives on this machine
  bench list                          show what there is to measure
  bench compare main..HEAD            compare what was measured of two commits; the exit status is the verdict

Exit status:
  0 ok, 7 regression, 8 inconclusive, 9 broken, 10 not comparable; 1 failure, 2 usage, 3 not found, 130 Ctrl-C`;

/** Every error is thrown and nothing exits, as with `rosetta-vm`. */
export function createBench(context: CommandContext): Command {
  const program = new Command('bench')
    .description('Measures exec-heavy x86_64 work in a machine of rosetta-vm, and notices when it gets slower.')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', EPILOGUE);
  for (const make of [
    runCommand,
    listCommand,
    calibrateCommand,
    compareCommand,
    historyCommand,
    reportCommand,
    buildCommand,
  ]) {
    program.addCommand(make(context));
  }
  program.helpCommand('help [command]', 'show help');
  prepare(program, context);
  return program;
}
