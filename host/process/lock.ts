/**
 * Locks that the kernel holds: flock(2) on an open file. A lock ends with its process, however that dies, so there is
 * no stale lock to recognise. Node has no call for it; the ways in are
 * - Linux: flock(1) of util-linux on an inherited descriptor: the lock belongs to the open file description, which this
 *   process keeps (flock(2));
 * - macOS: open(2) with O_EXLOCK or O_SHLOCK.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../errors.ts';

export interface Lock {
  /** The lock is its open file description's: a child that inherits this descriptor holds it too, until both are gone. */
  readonly fd: number;
  /** Replaces the file's text, a hint for people and for messages; at most a line. */
  note(text: string): Promise<void>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** Give up with `E_LOCKED` after so long, ms. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once, when it must be waited for. */
  readonly onWait?: () => void;
  /** What is locked, for the message: "The machine default". */
  readonly what: string;
}

/** sys/fcntl.h of macOS; Node does not export them. */
const O_SHLOCK = 0x10;
const O_EXLOCK = 0x20;

/** `flock -n` answers at once. */
const FLOCK_TIMEOUT_MS = 10_000;

/** Between two tries, ms. */
const RETRY_MS = 100;

/** Waits for the lock on `file`, which is created when it is missing. Throws `E_LOCKED` or an abort. */
export async function lock(file: string, options: LockOptions): Promise<Lock> {
  const deadline = performance.now() + options.timeoutMs;
  for (let tries = 0; ; tries++) {
    options.signal?.throwIfAborted();
    const held = await tryLock(file);
    if (held !== null) return held;
    if (tries === 0) options.onWait?.();
    if (performance.now() > deadline) {
      throw new RosettaVmError('E_LOCKED', {
        what: `${options.what} is in use.`,
        why: `Another process has held its lock for ${Math.round(options.timeoutMs / 1000)} s.`,
        fix: 'Wait for the other command to end, or end it, and run this again.',
        facts: { file },
      });
    }
    await sleep(RETRY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** Takes the lock at once, or answers null when another process has it. */
export async function tryLock(file: string): Promise<Lock | null> {
  const handle = await openLocked(file, 'exclusive');
  if (handle === null) return null;
  return {
    fd: handle.fd,
    note: async (text) => {
      await handle.truncate(0);
      await handle.write(`${text}\n`, 0);
    },
    release: () => handle.close(),
  };
}

/** Whether any process holds the lock; without a file nobody does. Looks without standing in anybody's way for longer than the look takes. */
export async function isLocked(file: string): Promise<boolean> {
  try {
    const handle = await openLocked(file, 'shared');
    await handle?.close();
    return handle === null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function openLocked(file: string, kind: 'exclusive' | 'shared'): Promise<FileHandle | null> {
  // Whoever only looks must not bring back the file of a machine that is being deleted.
  const base = constants.O_RDWR | (kind === 'exclusive' ? constants.O_CREAT : 0);
  if (process.platform === 'darwin') {
    const flag = kind === 'exclusive' ? O_EXLOCK : O_SHLOCK;
    try {
      return await stillThere(await open(file, base | flag | constants.O_NONBLOCK, 0o600), file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
      throw error;
    }
  }
  const handle = await open(file, base, 0o600);
  const status = await runFlock(handle, kind);
  if (status === 0) return await stillThere(handle, file);
  await handle.close();
  // flock(1): 1 is "held by another", unless -E says otherwise.
  if (status === 1) return null;
  throw new RosettaVmError('E_HOST_MISSING', {
    what: 'The program flock could not be run.',
    why: typeof status === 'string' ? status : `It ended with status ${status}.`,
    fix: 'Install the package util-linux.',
    facts: { program: 'flock' },
  });
}

/** Exit status, or why there is none. execa passes no foreign descriptors, so this is Node's own spawn. */
function runFlock(handle: FileHandle, kind: 'exclusive' | 'shared'): Promise<number | string> {
  return new Promise((resolve) => {
    // The child's standard input is this very open file.
    const child = spawn('flock', [kind === 'exclusive' ? '-x' : '-s', '-n', '0'], {
      stdio: [handle.fd, 'ignore', 'ignore'],
      timeout: FLOCK_TIMEOUT_MS,
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) => resolve(status ?? `It was ended by ${signal}.`));
  });
}

/** A lock on a file that was deleted meanwhile (with its machine) protects nothing. */
async function stillThere(handle: FileHandle, file: string): Promise<FileHandle | null> {
  const [mine, there] = await Promise.all([handle.stat(), stat(file).catch(() => null)]);
  if (there !== null && there.ino === mine.ino) return handle;
  await handle.close();
  return null;
}
