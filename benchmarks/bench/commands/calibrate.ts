/** `bench calibrate` */
import { Command } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption, mirrorOption } from '../../../host/cli/options.ts';
import { renderTable } from '../../../host/cli/table.ts';
import {
  benchmarkOption,
  type ChoiceFlags,
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
  readonly mirror?: string;
}

/** As many as the quick tier takes an arm and round: a floor holds for comparisons with at least as many. */
const RUNS = 5;

export function calibrateCommand(context: CommandContext): Command {
  return new Command('calibrate')
    .description('learn how far equal samples differ on this machine, benchmark by benchmark')
    .addOption(tierOption())
    .addOption(suiteOption())
    .addOption(benchmarkOption())
    .addOption(matrixOption())
    .addOption(runsOption('samples on each side of each of the four comparisons').default(RUNS))
    .addOption(machineOption())
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .action((flags: CalibrateFlags) => calibrate(context, flags));
}

async function calibrate(context: CommandContext, flags: CalibrateFlags): Promise<void> {
  const [{ parseMatrix }, { chosen, measure, throwUnlessWhole, exitStatusOf }, calibration, { keepNoiseFloors }] =
    await Promise.all([
      import('../../runner/matrix.ts'),
      import('../measure.ts'),
      import('../../runner/calibrate.ts'),
      import('../../runner/noise-floors.ts'),
    ]);
  const matrix = parseMatrix(flags.matrix);
  const what = await chosen(flags);
  const samples = 2 * flags.runs * calibration.CALIBRATION_ROUNDS;
  const measured = await measure(context, what, { ...flags, matrix, runs: samples, file: null });
  throwUnlessWhole(context, measured);
  const { session } = measured;
  const floors = calibration.noiseFloors(session, flags.runs);
  const file = await keepNoiseFloors(context.paths, session.fingerprint, floors);
  context.endProgress();
  context.exitStatus = exitStatusOf(session);
  const rows = [...floors].map(([benchmark, floor]) => ({ benchmark, ...floor }));
  if (context.json) return context.printJson(rows);
  context.print(
    renderTable(
      [{ title: 'BENCHMARK' }, { title: 'NOISE FLOOR', align: 'right' }],
      rows.map(({ benchmark, floor }) => [benchmark, `${(100 * floor).toFixed(1)} %`]),
    ),
  );
  context.hint(`Kept in ${file}; \`bench compare\` reads it.`);
}
