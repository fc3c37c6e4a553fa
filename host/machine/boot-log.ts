/** The serial console's text, as a stream. */
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLocked } from './lock.ts';
import type { MachineFolder } from './record.ts';

const CHUNK_BYTES = 64 * 1024;
const POLL_MS = 200;
/** Between two looks at whether the machine still runs, in polls. */
const ALIVE_EVERY = 10;

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
