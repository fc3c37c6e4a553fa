/** The two questions that the agent asks Docker itself (Docker Engine API, `SystemVersion` and `SystemEvents`). */
import { type IncomingMessage, request } from 'node:http';

const ANSWER_LIMIT_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Docker's version, as soon as it answers. Rejects when it does not, or not with a version. */
export async function dockerVersion(socketPath: string): Promise<string> {
  const answer = await get(socketPath, '/version', AbortSignal.timeout(ANSWER_LIMIT_MS));
  let text = '';
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > MAX_ANSWER_BYTES) throw new Error('Its answer has no end.');
  }
  const { Version: version } = JSON.parse(text) as { readonly Version?: unknown };
  if (typeof version !== 'string') throw new Error('Its answer holds no version.');
  return version;
}

/** Calls back at the end of each `docker … prune`, until `signal` aborts or the connection ends. Never rejects. */
export async function watchPrunes(socketPath: string, signal: AbortSignal, onPrune: () => void): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ event: ['prune'] }));
  try {
    // Nothing but prunes comes, so what a piece holds need not be looked at.
    for await (const _event of await get(socketPath, `/events?filters=${filters}`, signal)) onPrune();
  } catch {
    // Docker ended, or the watcher was told to; the supervisor knows which.
  }
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, signal, agent: false, headers: { Host: 'docker' } }, (answer) => {
      if (answer.statusCode === 200) resolve(answer);
      else {
        answer.destroy();
        reject(new Error(`Docker answered ${path} with status ${answer.statusCode}.`));
      }
    });
    asked.once('error', reject);
    asked.end();
  });
}
