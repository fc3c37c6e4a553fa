/** Sends the log as newline JSON. */
import type { ServerResponse } from 'node:http';
import type { Log } from './log.ts';

/** Lines kept for a follower that does not read; after them it is cut off rather than given room without end. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** Writes what is kept and, when following, each new line until the reader goes. */
export async function sendLogs(log: Log, follow: boolean, response: ServerResponse): Promise<undefined> {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  const early: string[] = [];
  let send = (line: string): void => void early.push(line);
  if (follow)
    response.once(
      'close',
      log.follow((line) => send(line)),
    );
  const kept = await log.read();
  response.write(kept);
  if (!follow) {
    response.end();
    return;
  }
  send = (line) => {
    response.write(line);
    if (response.writableLength > MAX_UNSENT_BYTES) response.destroy();
  };
  // A line that came while the file was read may be in it already.
  for (const line of early.filter((candidate) => !kept.includes(candidate))) send(line);
}
