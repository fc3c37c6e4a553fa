/**
 * What a dead host process may have left running. Its children die with it (setpriv --pdeathsig), a moment later; this
 * waits for that moment and ends what outlives it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** The kernel delivers the parent-death signal at once; a loaded machine needs a while to act on it, ms. */
const GRACE_MS = 3_000;
const POLL_MS = 50;

/**
 * Resolves when no process has a path below the machine's socket folder in its arguments. The caller holds the
 * machine's locks, so such a process has no owner. Linux only: under Virtualization.framework there are no children.
 */
export async function endOrphans(runtimeDirectory: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const deadline = performance.now() + GRACE_MS;
  for (;;) {
    const pids = await processesUsing(runtimeDirectory);
    if (pids.length === 0) return;
    if (performance.now() > deadline) for (const pid of pids) kill(pid);
    await sleep(POLL_MS);
  }
}

async function processesUsing(folder: string): Promise<number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const using = await Promise.all(
    names.map(async (name) => {
      // proc_pid_cmdline(5): arguments separated by NUL; empty for a zombie. A process may end while it is looked at.
      const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
      return line.includes(`${folder}/`);
    }),
  );
  return names.filter((_, index) => using[index]).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended, or is another user's; the next look tells.
  }
}
