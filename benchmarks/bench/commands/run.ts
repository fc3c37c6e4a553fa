/** `bench run`, which is also what `bench` alone does. */
import { Command } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption, mirrorOption } from '../../../host/cli/options.ts';
import { historyFile } from '../../runner/bench-folder.ts';
import {
  benchmarkOption,
  type ChoiceFlags,
  historyOption,
  machineOption,
  matrixOption,
  runsOption,
  suiteOption,
  tierOption,
} from '../options.ts';

interface RunFlags extends ChoiceFlags {
  readonly machine: string;
  readonly matrix: readonly string[];
  readonly runs?: number;
  readonly out?: string;
  readonly history?: string;
  readonly mirror?: string;
}

export function runCommand(context: CommandContext): Command {
  return new Command('run')
    .description('measure, and hold the arms against each other')
    .addOption(tierOption())
    .addOption(suiteOption())
    .addOption(benchmarkOption())
    .addOption(matrixOption())
    .addOption(runsOption('samples an arm, in one round (default: as the tier has it, in up to four rounds)'))
    .option('--out <file>', 'file of the session (default: one of its own among the others)')
    .addOption(historyOption())
    .addOption(machineOption())
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .action((flags: RunFlags) => run(context, flags));
}

async function run(context: CommandContext, flags: RunFlags): Promise<void> {
  const [{ parseMatrix }, { chosen, measure, throwUnlessWhole, exitStatusOf }, { showSession }, { requireWritable }] =
    await Promise.all([
      import('../../runner/matrix.ts'),
      import('../measure.ts'),
      import('../show-session.ts'),
      import('../../history/append.ts'),
    ]);
  const matrix = parseMatrix(flags.matrix);
  const what = await chosen(flags);
  await requireWritable(flags.history ?? historyFile(context.paths));
  const measured = await measure(context, what, {
    ...{ ...flags, matrix, purpose: 'run' },
    runs: flags.runs ?? null,
    file: flags.out ?? null,
  });
  throwUnlessWhole(context, measured);
  context.exitStatus = exitStatusOf(measured.session);
  await showSession(context, measured, flags.history);
}
