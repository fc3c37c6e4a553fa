/** `bench report` */
import { Argument, Command, Option } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption } from '../../../host/cli/options.ts';
import { historyFile, sessionsFolder } from '../../runner/bench-folder.ts';
import { acceptOption, historyOption } from '../options.ts';

interface ReportFlags {
  readonly base?: string;
  readonly accept: readonly string[];
  readonly format: 'html' | 'markdown' | 'json' | 'readme';
  readonly out?: string;
  readonly history?: string;
}

export function reportCommand(context: CommandContext): Command {
  return new Command('report')
    .description('make a report of a session: HTML, Markdown or JSON')
    .addArgument(
      new Argument(
        '[session]',
        'file or id of a session (default: the newest of this computer); with --format readme --out: a folder of them',
      ),
    )
    .option('--base <session>', 'session to compare with: a file, an id or a commit')
    .addOption(acceptOption('that may differ from the base’s'))
    .addOption(
      new Option('--format <format>', 'readme is the table alone, with --out put between its lines in that file')
        .choices(['html', 'markdown', 'json', 'readme'])
        .default('html'),
    )
    .option('-o, --out <file>', 'where to (default: standard output; of HTML report.html)')
    .addOption(historyOption())
    .addOption(jsonOption())
    .action((session: string | undefined, flags: ReportFlags) => report(context, session, flags));
}

async function report(context: CommandContext, named: string | undefined, flags: ReportFlags): Promise<void> {
  const [
    { newestSession, readSession },
    { reportInput, renderReport },
    { writeNamedFile },
    { sessionFile },
    { acceptedFields },
  ] = await Promise.all([
    import('../../session-file.ts'),
    import('../make-report.ts'),
    import('../../named-file.ts'),
    import('../find-session.ts'),
    import('../accepted-fields.ts'),
  ]);
  if (flags.format === 'readme' && flags.out !== undefined) return await readme(context, named, flags.out);
  const { paths } = context;
  const accept = acceptedFields(flags.accept);
  const file =
    named === undefined ? await newestSession(sessionsFolder(paths)) : await sessionFile(named, paths, process.cwd());
  const session = await readSession(file ?? (named as string));
  const history = flags.history ?? historyFile(paths);
  const { input, notes } = await reportInput(session, { paths, history, base: flags.base ?? null, accept });
  for (const note of notes) context.tell(`${note}\n`);
  const format = context.json ? 'json' : flags.format;
  const text = await renderReport(input, format);
  const out = flags.out ?? (format === 'html' ? 'report.html' : undefined);
  if (out === undefined) return context.print(text);
  await writeNamedFile(out, text);
  context.hint(`The report is in ${out}`);
}

/** `folder`: default the project's own sessions. */
async function readme(context: CommandContext, folder: string | undefined, out: string): Promise<void> {
  const [{ wholeSessions }, { updateReadme }, { withNamedFile, writeNamedFile }, { readFile }] = await Promise.all([
    import('../../session-file.ts'),
    import('../make-report.ts'),
    import('../../named-file.ts'),
    import('node:fs/promises'),
  ]);
  const before = await withNamedFile(out, () => readFile(out, 'utf8'));
  const text = await updateReadme(before, await wholeSessions(folder));
  await writeNamedFile(out, text);
  context.hint(`The table is in ${out}`);
}
