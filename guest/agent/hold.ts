/** A change of the whole machine that lasts as long as the host keeps a connection open: whatever ends the host's program ends it. */
import { finished } from 'node:stream/promises';
import type { UpgradeCall } from './server.ts';

/** Makes the change and answers with what takes it back. */
export type TemporaryChange = () => Promise<() => Promise<void>>;

/**
 * Serves one hold: the connection is taken once the change is made, and its end is answered once it is taken back.
 * Throws what the change throws, before the switch of protocols.
 */
export async function hold(call: UpgradeCall, change: TemporaryChange): Promise<void> {
  const takeBack = await change();
  const stream = call.accept();
  // Nothing is expected, so nothing is kept.
  stream.resume();
  await finished(stream, { writable: false }).catch(() => {});
  await takeBack();
  stream.end();
}
