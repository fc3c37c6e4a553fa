/** `bench compare` */
import { Argument, Command, Option } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { count } from '../../../host/cli/format.ts';
import { jsonOption } from '../../../host/cli/options.ts';
import type { Gate } from '../../compare/sessions.ts';
import { historyFile } from '../../runner/bench-folder.ts';
import { acceptOption, historyOption } from '../options.ts';

interface CompareFlags {
  readonly gate: Gate;
  readonly accept: readonly string[];
  readonly history?: string;
  readonly markdown?: string;
}

const EXAMPLES = `
A session is a file, its id, or a commit for which one was measured. The exit
status is the verdict: 0 ok, 7 regression, 8 inconclusive, 9 broken,
10 not comparable.

Examples:
  bench compare main..HEAD
  bench compare before.json after.json
  bench compare --gate counts --history bench/history.jsonl main..HEAD`;

export function compareCommand(context: CommandContext): Command {
  return new Command('compare')
    .description('compare two sessions; the exit status is the verdict')
    .addArgument(new Argument('<base>', 'session, or both as base..change'))
    .addArgument(new Argument('[change]', 'session'))
    .addOption(new Option('--gate <what>', 'what decides').choices(['all', 'time', 'counts']).default('all'))
    .addOption(acceptOption('that may differ'))
    .addOption(historyOption())
    .option('--markdown <file>', 'also write a comment for a pull request')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action((base: string, change: string | undefined, flags: CompareFlags) => compare(context, base, change, flags));
}

async function compare(
  context: CommandContext,
  base: string,
  change: string | undefined,
  flags: CompareFlags,
): Promise<void> {
  const [
    { compareSessions },
    { OUTCOME_EXIT_STATUS },
    { renderComparison },
    { findPair, sessionNames },
    { knownNoise },
    { readHistory },
    { acceptedFields },
  ] = await Promise.all([
    import('../../compare/sessions.ts'),
    import('../../compare/exit-status.ts'),
    import('../../compare/text.ts'),
    import('../find-session.ts'),
    import('../known-noise.ts'),
    import('../../history/read.ts'),
    import('../accepted-fields.ts'),
  ]);
  const accept = acceptedFields(flags.accept);
  const [before, after] = sessionNames(base, change);
  const { paths } = context;
  const history = flags.history ?? historyFile(paths);
  const pair = await findPair(before, after, { paths, history, cwd: process.cwd() }, accept);
  const past = await readHistory(history);
  const comparison = compareSessions(pair.base, pair.change, {
    ...{ gate: flags.gate, accept },
    ...(await knownNoise(paths, pair.change.fingerprint, past)),
  });
  const { skippedCount } = past;
  const unread = `${count(skippedCount, 'line')} of the history could not be read; \`bench history\` names them.`;
  for (const note of [...pair.notes, ...(skippedCount === 0 ? [] : [unread])]) context.tell(`${note}\n`);
  context.exitStatus = OUTCOME_EXIT_STATUS[comparison.outcome];
  if (flags.markdown !== undefined) {
    const [{ renderPullRequest }, { writeNamedFile }] = await Promise.all([
      import('../../compare/pull-request.ts'),
      import('../../named-file.ts'),
    ]);
    await writeNamedFile(flags.markdown, renderPullRequest(comparison));
  }
  if (context.json) return context.printJson([comparison]);
  context.print(renderComparison(comparison, context.style));
}
