/** `bench compare` */
import { Argument, Command, Option } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption } from '../../../host/cli/options.ts';
import type { FingerprintField } from '../../compare/fingerprint.ts';
import type { Gate } from '../../compare/sessions.ts';
import { historyFile } from '../../runner/bench-folder.ts';
import { historyOption } from '../options.ts';

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
    .addOption(
      new Option('--accept <field>', 'field of the machine’s fingerprint that may differ; may be given again')
        .default([], 'none')
        .argParser((text: string, sofar: readonly string[]) => [...sofar, text]),
    )
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
  const [{ compareSessions }, { OUTCOME_EXIT_STATUS }, { renderComparison }, { findSession, sessionNames }, floors] =
    await Promise.all([
      import('../../compare/sessions.ts'),
      import('../../compare/exit-status.ts'),
      import('../../compare/text.ts'),
      import('../find-session.ts'),
      import('../../runner/noise-floors.ts'),
    ]);
  const accept = await acceptedFields(flags.accept);
  const [before, after] = sessionNames(base, change);
  const { paths } = context;
  const where = { paths, history: flags.history ?? historyFile(paths), cwd: process.cwd() };
  const [from, to] = [await findSession(before, where), await findSession(after, where)];
  const known = await floors.readNoiseFloors(paths, to.fingerprint);
  const comparison = compareSessions(from, to, {
    ...{ gate: flags.gate, accept },
    noiseFloor: (key) => known.get(key)?.floor ?? null,
  });
  context.exitStatus = OUTCOME_EXIT_STATUS[comparison.outcome];
  if (flags.markdown !== undefined) {
    const [{ renderPullRequest }, { writeWhole }] = await Promise.all([
      import('../../compare/pull-request.ts'),
      import('../../../host/files.ts'),
    ]);
    await writeWhole(flags.markdown, renderPullRequest(comparison), 0o644);
  }
  if (context.json) return context.printJson([comparison]);
  context.print(renderComparison(comparison, context.style));
}

/** Throws `E_USAGE` with a suggestion. */
async function acceptedFields(names: readonly string[]): Promise<FingerprintField[]> {
  const [{ FINGERPRINT_FIELDS }, { RosettaVmError }, { suggestKey }] = await Promise.all([
    import('../../compare/fingerprint.ts'),
    import('../../../host/errors.ts'),
    import('../../../host/spec/suggest.ts'),
  ]);
  return names.map((name) => {
    const field = FINGERPRINT_FIELDS.find((one) => one === name);
    if (field !== undefined) return field;
    const meant = suggestKey(name, FINGERPRINT_FIELDS);
    throw new RosettaVmError('E_USAGE', {
      what: `--accept cannot be ${JSON.stringify(name)}.`,
      why: `These are the fields: ${FINGERPRINT_FIELDS.join(', ')}.`,
      fix: meant === undefined ? 'Name one of them.' : `Did you mean ${JSON.stringify(meant)}?`,
      facts: { flag: '--accept', value: name, suggestion: meant ?? null },
    });
  });
}
