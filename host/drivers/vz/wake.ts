/** Tells when this Mac wakes from sleep. */
import type { VzAddon } from './addon.ts';
import { type LineReader, readLines } from './lines.ts';

/** Before the watch is asked for again after it ended by itself, ms. */
const RETRY_MS = 30_000;

/**
 * Calls back at each wake until closed. A channel that ends by itself is opened again, for ever: a machine runs for
 * weeks. Throws what the addon throws when the first watch cannot be had.
 */
export function watchWake(addon: Pick<VzAddon, 'watchWake'>, onWake: () => void): { close(): void } {
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  const open = (): LineReader =>
    readLines(addon.watchWake().events, {
      line: (line) => {
        if ('event' in line && line.event === 'wake') onWake();
      },
      end: () => {
        if (!closed) schedule();
      },
    });
  const schedule = (): void => {
    retry = setTimeout(() => {
      try {
        reader = open();
      } catch {
        schedule();
      }
    }, RETRY_MS);
    retry.unref();
  };
  let reader = open();
  return {
    close: () => {
      closed = true;
      clearTimeout(retry);
      reader.close();
    },
  };
}
