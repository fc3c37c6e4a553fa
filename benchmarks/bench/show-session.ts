/** What happens to a session when it is over: it is shown. */
import type { CommandContext } from '../../host/cli/context.ts';
import { readNoiseFloors } from '../runner/noise-floors.ts';
import type { Measured } from './measure.ts';
import { renderSession } from './session-text.ts';

export async function showSession(context: CommandContext, { session, file }: Measured): Promise<void> {
  const floors = await readNoiseFloors(context.paths, session.fingerprint);
  context.endProgress();
  if (context.json) return context.printJson([session]);
  context.print(renderSession(session, (key) => floors.get(key)?.floor ?? null, context.style));
  context.tell(`The session is in ${file}\n`);
}
