/** Sends logs: the agent's as newline JSON, Docker's as the text that it is. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EngineLog } from '../engine/engine-log.ts';
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

/** Writes what is kept and, when following, what is added until the reader goes. It is read no faster than it is sent. */
export async function sendText(log: EngineLog, follow: boolean, response: ServerResponse): Promise<undefined> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  await pipeline(Readable.from(log.read(follow, gone.signal)), response).catch(() => {});
}
