/**
 * Terminals for exec. Node cannot make one, so socat does: it holds the master and joins it to a pair of pipes; the
 * program is our own child on the slave, which keeps its exit status and its process group exact.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, fchownSync, openSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { type RunCommand, runOrThrow } from './command.ts';
import type { WindowSize } from './requests.ts';
import { applet, type GuestSettings } from './settings.ts';

/** socat starts in milliseconds natively; under emulation it takes about half a second. */
const OPEN_TIMEOUT_MS = 15_000;
const POLL_MS = 10;
const RESIZE_TIMEOUT_MS = 10_000;

export interface Terminal {
  /** What the program writes. */
  readonly output: Readable;
  /** What is typed. */
  readonly input: Writable;
  /** Descriptor of the slave, for the program's standard streams; close it with {@link Terminal.release}. */
  readonly descriptor: number;
  resize(size: WindowSize): Promise<void>;
  /** Closes our own slave descriptor: from then on the output ends when the last program on the terminal has gone. */
  release(): void;
  /** Ends it at once, whoever still uses it. */
  close(): void;
}

let created = 0;

/**
 * Opens a terminal of a size, owned by `uid` (so that programs may open their tty by name, as login(1) leaves it).
 * Throws `E_TIMEOUT` or `E_NOT_FOUND`.
 */
export async function openTerminal(
  size: WindowSize,
  uid: number,
  settings: GuestSettings,
  run: RunCommand,
): Promise<Terminal> {
  created += 1;
  const link = path.join(settings.runDirectory, `terminal-${process.pid}-${created}`);
  // wait-slave: socat looks at the slave until somebody has it open (us, below), and ends when the last one has closed
  // it. -t0: then everything was read, and nothing more can come from the other side.
  const address = `PTY,link=${link},mode=0600,wait-slave,pty-interval=0.01`;
  const socat = spawn('socat', ['-t0', '-', address], { stdio: ['pipe', 'pipe', 'ignore'] });
  socat.stdin.on('error', () => {});
  try {
    await slaveReady(socat, link);
    const descriptor = openSync(link, constants.O_RDWR | constants.O_NOCTTY);
    const resize = async ({ columns, rows }: WindowSize): Promise<void> => {
      // TIOCSWINSZ on the slave raises SIGWINCH in its foreground process group (ioctl_tty(2)).
      const stty = applet(settings, 'stty', '-F', link, 'cols', String(columns), 'rows', String(rows));
      await runOrThrow(run, stty, RESIZE_TIMEOUT_MS);
    };
    const release = once(() => closeSync(descriptor));
    const close = (): void => {
      release();
      socat.kill('SIGKILL');
      rm(link, { force: true }).catch(() => {});
    };
    try {
      fchownSync(descriptor, uid, -1);
      await resize(size);
    } catch (error) {
      close();
      throw error;
    }
    return { output: socat.stdout, input: socat.stdin, descriptor, resize, release, close };
  } catch (error) {
    socat.kill('SIGKILL');
    throw error;
  }
}

/** Waits for socat's link to the slave. */
async function slaveReady(socat: ChildProcess, link: string): Promise<void> {
  let failure: Error | undefined;
  socat.once('error', (error) => {
    failure = error;
  });
  const deadline = performance.now() + OPEN_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (failure !== undefined || socat.exitCode !== null) throw noTerminal(failure?.message ?? 'socat ended early.');
    if (
      await stat(link).then(
        () => true,
        () => false,
      )
    )
      return;
    await sleep(POLL_MS);
  }
  throw noTerminal(`socat made none within ${OPEN_TIMEOUT_MS / 1000} s.`);
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}

function noTerminal(why: string): RosettaVmError {
  return new RosettaVmError('E_AGENT', {
    what: 'The guest has no terminal for the program.',
    why,
    fix: 'Run it without a terminal, and see `rosetta-vm logs`.',
  });
}
