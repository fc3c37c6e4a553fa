/**
 * Apple's rosettad: a daemon that translates for every process that reaches its socket, and keeps what it translated.
 * Its rules are not documented; they were learned from programs that start it (Lima, Parallels Tools, vz's tests). Not run
 * on a Mac.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, chmod, lstat, mkdir, readFile, rm } from 'node:fs/promises';
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
/** A translation of a large program takes seconds; a file that is empty for longer will stay so. */
const UNFINISHED_MS = 60_000;
const MAX_SAID_CHARACTERS = 500;
/** `__SO_ACCEPTCON` of include/uapi/linux/net.h: set by listen(2). */
const SO_ACCEPTCON = 1 << 16;
/** Of the cache's folder, of the socket's below it, and of the socket: the same that Parallels Tools give them. */
const FOLDER_MODE = 0o711;
const SOCKET_MODE = 0o766;

export const rosettad: CacheBackend = {
  name: 'rosettad',
  // Only the daemon, as root, writes: a client sends a descriptor and the daemon computes the digest itself. Others may
  // pass through to the socket below.
  directoryMode: FOLDER_MODE,
  isEntry: (file) => /^[0-9a-f]{64}\.aotcache$/.test(file),
  // What the daemon's unfinished files are called is not known, so none is taken for one.
  isLeftover: () => false,
  // The name is the digest of the program; which one it was is not kept.
  programOf: async (_directory, file) => path.basename(file, '.aotcache'),
  check: async (_directory, { bytes, usedMs }) =>
    bytes === 0 && Date.now() - usedMs > UNFINISHED_MS ? 'It is empty.' : undefined,
  serve: async (options) => {
    const daemon = new RosettaDaemon(options);
    await daemon.start();
    return daemon;
  },
};

/** A daemon from its start to its end. */
interface Life {
  readonly child: ChildProcess;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
}

class RosettaDaemon implements CacheServer {
  readonly #options: ServeOptions;
  readonly #socket: string;
  readonly #stopped = new AbortController();
  #life: Life | undefined;
  #supervising: Promise<void> = Promise.resolve();
  #backoffMs = FIRST_BACKOFF_MS;

  constructor(options: ServeOptions) {
    this.#options = options;
    // The daemon does not bind the configured path but one below its folder, with the same last part. That folder is
    // shown as the configured path's, so a daemon that bound the configured path would meet the same file.
    this.#socket = path.join(options.directory, 'uds', path.basename(options.socketPath));
  }

  /**
   * Resolves when programs can connect, or when the owner was told that they cannot yet: a guest that boots slowly misses
   * the time limit, which says nothing of the next start. Throws `E_HOST_UNSUPPORTED`: no daemon is in the share.
   */
  async start(): Promise<void> {
    const program = path.join(this.#options.shareDirectory, ROSETTA_DAEMON);
    await access(program).catch((error: Error) => {
      throw noDaemon(error);
    });
    this.#supervising = this.#supervise(await this.#firstLife());
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    const life = this.#life;
    if (life !== undefined) {
      life.child.kill('SIGTERM');
      const killer = setTimeout(() => life.child.kill('SIGKILL'), STOP_GRACE_MS);
      await life.ended;
      clearTimeout(killer);
    }
    await this.#supervising;
    // Programs that find no socket run without the cache; what they do with a dead one is not known. Its folder stays:
    // a container that starts meanwhile finds the next daemon's socket in it.
    await rm(this.#socket, { force: true });
  }

  /** Undefined when it did not serve. */
  async #firstLife(): Promise<Life | undefined> {
    const { log, onDown } = this.#options;
    try {
      return await this.#bringUp();
    } catch (error) {
      const reason = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
      log.error('rosettad did not start; programs run without the cache.', { reason, retryMs: this.#backoffMs });
      await onDown(reason);
      return undefined;
    }
  }

  async #supervise(first: Life | undefined): Promise<void> {
    const { log, onDown } = this.#options;
    for (let life = first ?? (await this.#nextLife()); life !== undefined; life = await this.#nextLife()) {
      const startedAt = performance.now();
      const how = await life.ended;
      if (this.#stopped.signal.aborted) return;
      await rm(this.#socket, { force: true });
      if (performance.now() - startedAt > STEADY_MS) this.#backoffMs = FIRST_BACKOFF_MS;
      log.error('rosettad ended; programs go on without the cache.', { how, retryMs: this.#backoffMs });
      await onDown(`rosettad ended: ${how}`);
    }
  }

  /** The next daemon that serves; undefined when it is wanted no more. */
  async #nextLife(): Promise<Life | undefined> {
    const { signal } = this.#stopped;
    for (;;) {
      await sleep(this.#backoffMs, undefined, { signal }).catch(() => {});
      this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
      if (signal.aborted) return undefined;
      const life = await this.#bringUp().catch((error: unknown) => {
        if (signal.aborted) return;
        this.#options.log.error('rosettad did not come back.', { reason: String(error), retryMs: this.#backoffMs });
      });
      if (life === undefined) continue;
      await this.#options.onUp();
      return life;
    }
  }

  async #bringUp(): Promise<Life> {
    const { socketPath, log, expose } = this.#options;
    const folder = path.dirname(this.#socket);
    await mkdir(folder, { recursive: true });
    // mkdir(2) applies the umask, and leaves a folder that is there as it is.
    await chmod(folder, FOLDER_MODE);
    // A socket left behind makes the daemon end with EADDRINUSE.
    await rm(this.#socket, { force: true });
    await expose(folder);
    // What is spawned from here on is the life that stop() ends.
    this.#stopped.signal.throwIfAborted();
    const life = this.#spawn();
    this.#life = life;
    try {
      await this.#socketReady(life);
      // Programs run as any user, and connecting needs write permission on the socket and search permission on its
      // folder (unix(7)), which the daemon may have made anew, or its own.
      await chmod(folder, FOLDER_MODE);
      await chmod(this.#socket, SOCKET_MODE);
    } catch (error) {
      life.child.kill('SIGKILL');
      await life.ended;
      throw error;
    }
    log.info('rosettad serves the cache.', { socket: socketPath, pid: life.child.pid ?? null });
    return life;
  }

  #spawn(): Life {
    const { directory, shareDirectory, log } = this.#options;
    const program = path.join(shareDirectory, ROSETTA_DAEMON);
    // setpriv(1): it must not outlive an agent that is killed, whose successor starts another one.
    const argv = ['--pdeathsig', 'TERM', '--', program, 'daemon', directory];
    const child = spawn('setpriv', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (data: Buffer) => {
      log.warn('rosettad said something.', { text: data.toString().trim().slice(0, MAX_SAID_CHARACTERS) });
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    return { child, ended };
  }

  async #socketReady({ child, ended }: Life): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    let how: string | undefined;
    void ended.then((said) => {
      how = said;
    });
    // Its type is SOCK_SEQPACKET, which Node cannot connect to: the file in the folder, and the kernel's table, are the signs.
    while (!((await isSocket(this.#socket)) && (await isListening(path.basename(this.#socket))))) {
      if (how !== undefined || this.#stopped.signal.aborted) throw notServing(`It ended: ${how ?? 'it was stopped'}.`);
      if (performance.now() > deadline) {
        throw notServing(`${this.#socket} was not served within ${READY_TIMEOUT_MS / 1000} s (pid ${child.pid}).`);
      }
      await sleep(POLL_MS);
    }
  }
}

async function isSocket(file: string): Promise<boolean> {
  return lstat(file).then(
    (found) => found.isSocket(),
    () => false,
  );
}

/**
 * Whether a process listens on a socket of this name. bind(2) makes the file, and whoever connects before listen(2) is
 * refused. Compared are the last parts: the table has the path as it was bound, which may be a relative one.
 */
async function isListening(name: string): Promise<boolean> {
  // Num RefCount Protocol Flags Type St Inode Path (net/unix/af_unix.c, unix_seq_show)
  const table = (await readFile('/proc/net/unix', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/));
  return table.some(
    (row) => (Number.parseInt(row[3] ?? '', 16) & SO_ACCEPTCON) !== 0 && path.basename(row[7] ?? '') === name,
  );
}

function noDaemon(cause: Error): RosettaVmError {
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
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
    fix: 'Programs run without it, and it is started again and again. See `rosetta-vm logs`.',
  });
}
