/** What happens to a session when it is over: the history gets it, and people a table and a report. */
import type { CommandContext } from '../../host/cli/context.ts';
import { asRosettaVmError } from '../../host/errors.ts';
import { writeWhole } from '../../host/files.ts';
import { appendSession } from '../history/append.ts';
import type { ReportInput } from '../report/input.ts';
import { historyFile } from '../runner/bench-folder.ts';
import { renderReport, reportInput } from './make-report.ts';
import type { Measured } from './measure.ts';
import { renderSession } from './session-text.ts';

/** `history`: file; null: this computer's own. A session is safe in its file, so what fails here is told and is no failure. */
export async function showSession(
  context: CommandContext,
  { session, file }: Measured,
  history: string | null = null,
): Promise<void> {
  const { paths } = context;
  const past = history ?? historyFile(paths);
  context.endProgress();
  await appendSession(past, session).catch((error: unknown) => warn(context, 'The history does not have it.', error));
  const input = await reportInput(session, { paths, history: past, base: null, accept: [] }).then(
    (gathered) => gathered.input,
    (error: unknown): ReportInput => {
      warn(context, 'It is shown without what is known of this machine.', error);
      return { session, comparison: null, history: null, noiseFloor: () => null };
    },
  );
  const report = file.replace(/(\.json)?$/, '.html');
  const written = await renderReport(input, 'html')
    .then((text) => writeWhole(report, text, 0o644))
    .then(() => true)
    .catch((error: unknown) => {
      warn(context, 'There is no report of it.', error);
      return false;
    });
  if (context.json) return context.printJson([session]);
  context.print(renderSession(input, context.style));
  context.tell(`\nSession  ${file}\n${written ? `Report   ${report}\n` : ''}`);
}

function warn(context: CommandContext, what: string, error: unknown): void {
  const { what: reason, why } = asRosettaVmError(error);
  context.tell(`${what} ${reason} ${why}\n`);
}
