/** `bench calibrate` */
import { Command, Option } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption, mirrorOption, wholeNumber } from '../../../host/cli/options.ts';
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

interface CalibrateFlags extends ChoiceFlags {
  readonly machine: string;
  readonly matrix: readonly string[];
  readonly runs: number;
  readonly sessions: number;
  readonly pause: number;
  readonly history?: string;
  readonly mirror?: string;
}

/** As many as the quick tier takes an arm and round: a floor holds for comparisons with at least as many. */
const RUNS = 5;
const MAX_SESSIONS = 100;
const MAX_PAUSE_MINUTES = 24 * 60;
/** Long enough for a machine to cool down, for another job to end, for a host's neighbours to change. */
const PAUSE_MINUTES = 10;

const NOTES = `
A session is a block: the machine may be faster in one than in the next, which
no number of samples shows. With --sessions 5 it is measured five times, with
pauses, and \`bench compare\` knows from which change on two sessions differ.
Five calls on five days say the same, and more.`;

export function calibrateCommand(context: CommandContext): Command {
  return new Command('calibrate')
    .description('learn how far equal samples, and sessions, differ on this machine')
    .addOption(tierOption())
    .addOption(suiteOption())
    .addOption(benchmarkOption())
    .addOption(matrixOption())
    .addOption(runsOption('samples on each side of each of the four comparisons').default(RUNS))
    .addOption(
      new Option('--sessions <number>', 'sessions, to learn how far those differ')
        .argParser(wholeNumber('--sessions', 1, MAX_SESSIONS))
        .default(1),
    )
    .addOption(
      new Option('--pause <minutes>', 'between two sessions')
        .argParser(wholeNumber('--pause', 0, MAX_PAUSE_MINUTES))
        .default(PAUSE_MINUTES),
    )
    .addOption(historyOption())
    .addOption(machineOption())
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .addHelpText('after', NOTES)
    .action((flags: CalibrateFlags) => calibrate(context, flags));
}

async function calibrate(context: CommandContext, flags: CalibrateFlags): Promise<void> {
  const [
    { parseMatrix },
    { chosen, throwUnlessWhole, exitStatusOf },
    { calibrationSessions },
    { renderCalibration },
    { requireWritable },
  ] = await Promise.all([
    import('../../runner/matrix.ts'),
    import('../measure.ts'),
    import('../calibration-sessions.ts'),
    import('../calibration-text.ts'),
    import('../../history/append.ts'),
  ]);
  const matrix = parseMatrix(flags.matrix);
  const what = await chosen(flags);
  await requireWritable(flags.history ?? historyFile(context.paths));
  const { rows, last, file } = await calibrationSessions(context, what, { ...flags, matrix });
  throwUnlessWhole(context, last);
  context.endProgress();
  context.exitStatus = exitStatusOf(last.session);
  if (context.json) return context.printJson(rows);
  context.print(renderCalibration(rows));
  context.hint(`Kept in ${file} and in the history; \`bench compare\` reads both.`);
}
