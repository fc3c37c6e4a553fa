/**
 * Apple's rosettad: a daemon that translates for every process that reaches its socket, and keeps what it translated.
 * Its rules are not documented; they were learned from programs that start it (Lima, Parallels Tools, vz's tests).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, chmod, lstat, mkdir, rm, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { ROSETTA_DAEMON } from '../translators/rosetta.ts';
import type { CacheBackend, CacheServer, ServeOptions } from './cache.ts';

/** Parallels Tools give up after as long. */
const READY_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const STOP_GRACE_MS = 3_000;
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
/** A daemon that ran this long starts again at once: its end was not the start's fault. */
const STEADY_MS = 60_000;

export const rosettad: CacheBackend = {
  name: 'rosettad',
  // Only the daemon, as root, writes: a client sends a descriptor and the daemon computes the digest itself. Others may
  // pass through to the socket below.
  directoryMode: 0o711,
  isEntry: (file) => /^[0-9a-f]{64}\.aotcache$/.test(file),
  // What the daemon's unfinished files are called is not known, so none is taken for one.
  isLeftover: () => false,
  // The name is the digest of the program; which one it was is not kept.
  programOf: async (_directory, file) => path.basename(file, '.aotcache'),
  check: async (_directory, { bytes }) => (bytes === 0 ? 'It is empty.' : undefined),
  serve: async (options) => {
    const daemon = new RosettaDaemon(options);
    await daemon.start();
    return daemon;
  },
};

class RosettaDaemon implements CacheServer {
  readonly #options: ServeOptions;
  readonly #boundPath: string;
  #child: ChildProcess | undefined;
  #stopped = false;
  #backoffMs = FIRST_BACKOFF_MS;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ServeOptions) {
    this.#options = options;
    // The daemon does not bind the configured path but one below its folder, with the same last part.
    this.#boundPath = path.join(options.directory, 'uds', path.basename(options.socketPath));
  }

  /** Resolves when programs can connect. Throws `E_NOT_FOUND` (no daemon in the share) or `E_TIMEOUT`. */
  async start(): Promise<void> {
    const { directory, shareDirectory, socketPath, log } = this.#options;
    const program = path.join(shareDirectory, ROSETTA_DAEMON);
    await access(program).catch((error: Error) => {
      throw noDaemon(error);
    });
    await mkdir(path.dirname(this.#boundPath), { recursive: true, mode: 0o711 });
    // A socket left behind makes the daemon end with EADDRINUSE.
    await rm(this.#boundPath, { force: true });
    const started = performance.now();
    const child = spawn(program, ['daemon', directory], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (data: Buffer) => log.warn('rosettad said something.', { text: data.toString().trim() }));
    child.once('error', (error) => log.error('rosettad could not be started.', { reason: error.message }));
    child.once('exit', (code, signal) => this.#ended(code, signal, performance.now() - started));
    await this.#socketReady(child);
    // Programs run as any user, and connecting needs write permission on the socket (unix(7)).
    await chmod(this.#boundPath, 0o766);
    await this.#bridge(socketPath);
    log.info('rosettad serves the cache.', { socket: socketPath, pid: child.pid ?? null });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await gone;
    clearTimeout(killer);
  }

  async #socketReady(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    // Its type is SOCK_SEQPACKET, which Node cannot connect to: the file in the folder is the sign.
    while (!(await isSocket(this.#boundPath))) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null)
        throw notServing('It ended.');
      if (performance.now() > deadline) {
        child.kill('SIGKILL');
        throw notServing(`${this.#boundPath} did not appear within ${READY_TIMEOUT_MS / 1000} s.`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Makes the configured path lead to the bound one; without it programs run, but nothing is cached. */
  async #bridge(socketPath: string): Promise<void> {
    if (await sameFile(socketPath, this.#boundPath)) return;
    await mkdir(path.dirname(socketPath), { recursive: true, mode: 0o755 });
    await rm(socketPath, { force: true });
    await symlink(this.#boundPath, socketPath);
  }

  #ended(code: number | null, signal: string | null, aliveMs: number): void {
    if (this.#stopped) return;
    if (aliveMs > STEADY_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    const { log } = this.#options;
    log.error('rosettad ended; programs go on without the cache.', { code, signal, retryMs: this.#backoffMs });
    this.#retry = setTimeout(() => {
      this.start().catch((error: Error) => log.error('rosettad did not come back.', { reason: error.message }));
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }
}

async function isSocket(file: string): Promise<boolean> {
  return lstat(file).then(
    (found) => found.isSocket(),
    () => false,
  );
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a).catch(() => undefined), stat(b).catch(() => undefined)]);
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

function noDaemon(cause: Error): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: 'The Rosetta share has no rosettad, so translations are not kept.',
    why: cause.message,
    fix: 'Update the Mac to macOS 14 or later.',
    cause,
  });
}

function notServing(why: string): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: 'rosettad does not serve the cache.',
    why,
    fix: 'Programs run without it. See `rosetta-vm logs`, and switch the cache off and on to try again.',
  });
}
