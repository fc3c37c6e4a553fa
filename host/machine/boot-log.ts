/** The serial console's text, as a stream. */
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_LISTENS } from '../../guest/protocol.ts';
import { isLocked } from './lock.ts';
import type { MachineFolder } from './record.ts';

const CHUNK_BYTES = 64 * 1024;
const POLL_MS = 200;
/** Between two looks at whether the machine still runs, in polls. */
const ALIVE_EVERY = 10;

/** A little more often than the eye notices; a boot's log is a few hundred bytes. */
const ANNOUNCEMENT_POLL_MS = 20;

/**
 * Resolves when the guest's agent has said on the console that it listens, and after `timeoutMs` without that: the line
 * may be torn by a message of the kernel's. Throws the reason of `signal`.
 */
export async function waitForAnnouncement(
  serialLog: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    signal.throwIfAborted();
    const text = await readFile(serialLog, 'latin1').catch(() => '');
    if (text.includes(AGENT_LISTENS)) return;
    await sleep(ANNOUNCEMENT_POLL_MS);
  }
}

/** See {@link Machines.bootLog}. A machine that never started has an empty log. */
export async function* readBootLog(
  folder: MachineFolder,
  { follow, signal }: { readonly follow: boolean; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const handle = await open(folder.serialLog, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (handle === null) return;
  try {
    let position = 0;
    for (let polls = 1; signal?.aborted !== true; ) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      position += bytesRead;
      if (bytesRead > 0) {
        yield buffer.subarray(0, bytesRead);
        continue;
      }
      if (!follow || (polls++ % ALIVE_EVERY === 0 && !(await isLocked(folder.hostLock)))) return;
      await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
  } finally {
    await handle.close();
  }
}
