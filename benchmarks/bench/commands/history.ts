/** `bench history` and `bench history ack` */
import { existsSync } from 'node:fs';
import { Argument, Command } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption } from '../../../host/cli/options.ts';
import { historyFile } from '../../runner/bench-folder.ts';
import { acceptOption, historyOption } from '../options.ts';

interface HistoryFlags {
  readonly history?: string;
  readonly accept: readonly string[];
}

interface AckFlags extends Pick<HistoryFlags, 'history'> {
  readonly reason: string;
  readonly suite?: string;
  readonly benchmark?: string;
  readonly arm?: string;
}

const EXAMPLES = `
The exit status is 7 while a benchmark is slower than before and nobody has said
why. Examples:
  bench history
  bench history --history bench/history.jsonl --json
  bench history --accept image
  bench history ack 20261126T120000Z-0a1b2c3d --benchmark gcc-hello --reason "Debian’s gcc 15"`;

export function historyCommand(context: CommandContext): Command {
  const command = new Command('history')
    .description('find where benchmarks changed for good, and since which commit')
    .addOption(historyOption())
    .addOption(acceptOption('that a series may go across, such as image'))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action((flags: HistoryFlags) => history(context, flags));
  return command.addCommand(
    new Command('ack')
      .description('say why a change is no fault')
      .addArgument(new Argument('<session>', 'id of the first session after the change'))
      .requiredOption('--reason <text>', 'what people will want to know')
      .option('--suite <name>', 'of this suite alone')
      .option('--benchmark <name>', 'of this benchmark alone')
      .option('--arm <arm>', 'in this arm alone, such as cache=warm,translator=box64')
      .addOption(historyOption())
      .action((session: string, _flags: unknown, self: Command) =>
        acknowledge(context, session, self.optsWithGlobals()),
      ),
  );
}

async function history(context: CommandContext, flags: HistoryFlags): Promise<void> {
  const [{ readHistory }, { historyReport }, { renderHistory }, { OUTCOME_EXIT_STATUS }, { acceptedFields }] =
    await Promise.all([
      import('../../history/read.ts'),
      import('../../history/changes.ts'),
      import('../../history/text.ts'),
      import('../../compare/exit-status.ts'),
      import('../accepted-fields.ts'),
    ]);
  const accept = acceptedFields(flags.accept);
  const { history: named } = flags;
  const report = historyReport(await readHistory(named ?? historyFile(context.paths)), { accept });
  // Which a typing mistake makes as well as a history that nobody has begun.
  if (named !== undefined && !existsSync(named)) context.tell(`There is no file ${named}.\n`);
  context.exitStatus = OUTCOME_EXIT_STATUS[report.outcome];
  if (context.json) return context.printJson([report]);
  context.print(renderHistory(report, context.style));
}

/** Tells what is quieter for it. Throws `E_NOT_FOUND` and `E_USAGE` for what would quiet nothing, before anything is written. */
async function acknowledge(context: CommandContext, session: string, flags: AckFlags): Promise<void> {
  const [{ readHistory }, { appendAck }, { acknowledgement }, { historyReport }, { renderAcknowledged }] =
    await Promise.all([
      import('../../history/read.ts'),
      import('../../history/append.ts'),
      import('../../history/acknowledgement.ts'),
      import('../../history/changes.ts'),
      import('../../history/text.ts'),
    ]);
  const file = flags.history ?? historyFile(context.paths);
  const before = await readHistory(file);
  const { reason, suite, benchmark, arm } = flags;
  await appendAck(file, {
    date: new Date().toISOString(),
    ...acknowledgement(before, { session, reason, suite, benchmark, arm }),
  });
  context.print(renderAcknowledged(historyReport(before), historyReport(await readHistory(file))));
}
