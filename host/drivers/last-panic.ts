/** What the guest's kernel said last, if it gave up. */
import { open } from 'node:fs/promises';

/** A panic's report with its call trace fits. */
const CONSOLE_TAIL_BYTES = 16 * 1024;

/** The kernel's own sentence (kernel/panic.c), from the end of the console's log; null where it did not panic. */
export async function lastPanic(serialLog: string): Promise<string | null> {
  const file = await open(serialLog).catch(() => null);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    const length = Math.min(size, CONSOLE_TAIL_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return /Kernel panic - not syncing: ([^\r\n]{1,200})/.exec(buffer.toString('utf8'))?.[1] ?? null;
  } finally {
    await file.close();
  }
}
