/** `bench build` */
import path from 'node:path';
import { Command } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption, wholeNumber } from '../../../host/cli/options.ts';
import { historyFile } from '../../runner/bench-folder.ts';
import { historyOption, machineOption, matrixOption, runsOption } from '../options.ts';

interface BuildFlags {
  readonly machine: string;
  readonly matrix: readonly string[];
  readonly runs: number;
  readonly file?: string;
  readonly buildArg: readonly string[];
  readonly target?: string;
  readonly network?: string;
  readonly limit: number;
  readonly out?: string;
  readonly history?: string;
}

/** Can prove a difference in one step and the whole with two translators; of more steps the session says how many can. */
const RUNS = 6;
const LIMIT_MINUTES = 60;
const MAX_LIMIT_MINUTES = 24 * 60;

export function buildCommand(context: CommandContext): Command {
  return new Command('build')
    .description('measure the steps of a Dockerfile of your own')
    .argument('<directory>', 'context of the build')
    .option('-f, --file <file>', 'Dockerfile (default: the one of the directory)')
    .option(
      '--build-arg <key=value>',
      'variable of the build; may be given again',
      (text: string, sofar: readonly string[]) => [...sofar, text],
      [],
    )
    .option('--target <stage>', 'build this stage')
    .option('--network <mode>', 'network of RUN steps: default, none or host')
    .option(
      '--limit <minutes>',
      'longest time of one build',
      wholeNumber('--limit', 1, MAX_LIMIT_MINUTES),
      LIMIT_MINUTES,
    )
    .addOption(matrixOption())
    .addOption(runsOption('timed builds in each arm').default(RUNS))
    .option('--out <file>', 'file of the session (default: one of its own among the others)')
    .addOption(historyOption())
    .addOption(machineOption())
    .addOption(jsonOption())
    .action((directory: string, flags: BuildFlags) => build(context, directory, flags));
}

async function build(context: CommandContext, directory: string, flags: BuildFlags): Promise<void> {
  const [
    { parseMatrix },
    { PLAIN_BUILD, parseContext },
    definition,
    { measureBuild },
    measuring,
    { showSession },
    { requireWritable },
  ] = await Promise.all([
    import('../../runner/matrix.ts'),
    import('../../../host/build/request.ts'),
    import('../../../host/build/context.ts'),
    import('../measure-build.ts'),
    import('../measure.ts'),
    import('../show-session.ts'),
    import('../../history/append.ts'),
  ]);
  const folder = await definition.contextFolder(parseContext(directory));
  const dockerfile = flags.file ?? path.join(folder, 'Dockerfile');
  // Before a machine is started for it.
  await definition.readDefinition(folder, dockerfile);
  await requireWritable(flags.history ?? historyFile(context.paths));
  const request = {
    ...PLAIN_BUILD,
    context: folder,
    dockerfile,
    buildArguments: flags.buildArg,
    target: flags.target ?? null,
    network: flags.network ?? null,
    output: { kind: 'none' },
    noCache: true,
  } as const;
  const measured = await measureBuild(context, request, {
    machine: flags.machine,
    matrix: parseMatrix(flags.matrix),
    runs: flags.runs,
    limitMs: flags.limit * 60_000,
    file: flags.out ?? null,
  });
  measuring.throwUnlessWhole(context, measured);
  context.exitStatus = measuring.exitStatusOf(measured.session);
  await showSession(context, measured, flags.history);
}
