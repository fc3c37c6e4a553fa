/** Docker in the guest: started once the data disk is there, started again when it ends, ended before power-off. */
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import type { PartLog } from '../agent/log.ts';
import { isMountPoint } from '../agent/mounts.ts';
import type { GuestSettings } from '../agent/settings.ts';
import type { BootConfig, EngineStatus } from '../protocol.ts';
import { type Daemon, daemonFiles, findDaemon, startDaemon } from './daemon.ts';
import { daemonConfig, SHUTDOWN_TIMEOUT_SECONDS } from './daemon-config.ts';
import { dockerVersion, watchPrunes } from './docker-api.ts';
import { EngineLog } from './engine-log.ts';

/** A start takes 6 s under emulation, with many containers and images a few times as long. */
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 100;
const CGROUP_TIMEOUT_MS = 10_000;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 60_000;
/** A daemon that ran this long starts again at once: its end was not the start's fault. */
const STEADY_MS = 60_000;
/** Containers get their time first (daemon-config.ts), then networks and mounts go. */
const STOP_LIMIT_MS = (SHUTDOWN_TIMEOUT_SECONDS + 10) * 1000;
const MAX_REASON_CHARACTERS = 500;
const LOG_CHECK_MS = 10_000;
/** `docker system prune` is several prunes. */
const TRIM_DELAY_MS = 3_000;
const TRIM_TIMEOUT_MS = 10 * 60_000;

export class Engine {
  readonly log: EngineLog;
  readonly #config: BootConfig['engine'];
  readonly #settings: GuestSettings;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  readonly #stopped = new AbortController();
  #status: EngineStatus;
  #daemon: Daemon | undefined;
  #supervising: Promise<void> = Promise.resolve();
  #trim: NodeJS.Timeout | undefined;

  constructor(config: BootConfig['engine'], settings: GuestSettings, run: RunCommand, log: PartLog) {
    this.log = new EngineLog(settings.engineLogFile);
    this.#config = config;
    this.#settings = settings;
    this.#run = run;
    this.#log = log;
    this.#status = { state: config.enabled ? 'starting' : 'off', restarts: 0 };
  }

  /** Begins to supervise; how it goes is in {@link status}. Docker's storage is on the data disk alone. */
  start(dataReady: Promise<boolean>): void {
    if (this.#config.enabled) this.#supervising = this.#supervise(dataReady);
  }

  status(): EngineStatus {
    return this.#status;
  }

  /** Ends Docker and its containers as Docker does it, or after a limit by force. Nothing starts it again. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#trim);
    const daemon = this.#daemon;
    if (daemon !== undefined) {
      kill(daemon, 'SIGTERM');
      const killer = setTimeout(() => kill(daemon, 'SIGKILL'), STOP_LIMIT_MS);
      await daemon.ended;
      clearTimeout(killer);
    }
    await this.#supervising;
  }

  async #supervise(dataReady: Promise<boolean>): Promise<void> {
    if (!(await dataReady)) return this.#failed('The data disk, which holds its images, is not mounted.');
    const logCheck = setInterval(() => void this.log.bound().catch(() => {}), LOG_CHECK_MS);
    logCheck.unref();
    let backoffMs = FIRST_BACKOFF_MS;
    while (!this.#stopped.signal.aborted) {
      const startedAt = performance.now();
      const reason = await this.#runOnce().catch((error: Error) => error.message);
      if (this.#stopped.signal.aborted) break;
      if (performance.now() - startedAt > STEADY_MS) backoffMs = FIRST_BACKOFF_MS;
      this.#status = { state: 'failed', restarts: this.#status.restarts + 1, reason };
      this.#log.error('Docker ended; it is started again.', { reason, retryMs: backoffMs });
      await sleep(backoffMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
    clearInterval(logCheck);
  }

  /** One life of the daemon; resolves with why it ended. */
  async #runOnce(): Promise<string> {
    // Also for a daemon that runs already: it starts the shim of this agent's version from now on.
    await this.#prepareFiles();
    const found = await findDaemon(this.#settings);
    const logBytes = await this.log.size();
    if (found === undefined) await this.#cgroupsMounted();
    const daemon = found ?? (await startDaemon(this.#settings, this.log));
    this.#daemon = daemon;
    const life = new AbortController();
    const ended = daemon.ended.finally(() => life.abort());
    const answered = this.#untilReady(daemon, found !== undefined, life.signal);
    const how = await ended;
    await answered;
    this.#daemon = undefined;
    const complaint = await this.log.lastComplaint(logBytes);
    return complaint === undefined ? how : `${how} It said: ${complaint.slice(0, MAX_REASON_CHARACTERS)}`;
  }

  /** Waits until it answers, then watches it; a daemon that does not answer in time is killed. */
  async #untilReady({ pid }: Daemon, found: boolean, life: AbortSignal): Promise<void> {
    const { dockerSocket } = this.#settings;
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!life.aborted) {
      const version = await dockerVersion(dockerSocket).catch(() => undefined);
      if (version !== undefined) {
        this.#status = { state: 'ready', version, restarts: this.#status.restarts };
        this.#log.info(found ? 'Docker ran already.' : 'Docker is ready.', { version, pid });
        return await watchPrunes(dockerSocket, life, () => this.#trimSoon());
      }
      if (performance.now() > deadline) {
        this.#log.error('Docker did not answer in time; it is killed.', { pid, limitMs: READY_TIMEOUT_MS });
        kill({ pid }, 'SIGKILL');
        return;
      }
      await sleep(POLL_MS, undefined, { signal: life }).catch(() => {});
    }
  }

  async #prepareFiles(): Promise<void> {
    const { config, pid, programs } = daemonFiles(this.#settings);
    await mkdir(path.dirname(pid), { recursive: true });
    await writeFile(`${config}.new`, JSON.stringify(daemonConfig(this.#config, this.#settings)));
    await rename(`${config}.new`, config);
    await mkdir(programs, { recursive: true });
    await this.#bringShim(path.join(programs, 'runc'));
  }

  /**
   * Copies the shim into memory: every start of a container runs it, and virtiofs would read it anew each time. Without
   * one in the boot share, PATH leads to the real runc.
   */
  async #bringShim(target: string): Promise<void> {
    try {
      await copyFile(path.join(this.#settings.bootDirectory, 'bin', 'runc'), `${target}.new`);
      await rename(`${target}.new`, target);
    } catch (error) {
      await rm(target, { force: true });
      this.#log.warn('There is no runc shim: containers run without the translation cache.', {
        reason: (error as Error).message,
      });
    }
  }

  /** /etc/rosetta-vm/late mounts them beside the agent's start; on a fast machine the agent may be first. */
  async #cgroupsMounted(): Promise<void> {
    const deadline = performance.now() + CGROUP_TIMEOUT_MS;
    while (!(await isMountPoint(this.#settings.cgroupDirectory)) && performance.now() < deadline) await sleep(POLL_MS);
  }

  /** What Docker freed is given back to the host: the data disk is a sparse file there. */
  #trimSoon(): void {
    clearTimeout(this.#trim);
    this.#trim = setTimeout(() => {
      this.#trimNow().then(
        (said) => this.#log.info('The data disk was trimmed.', { said }),
        (error: Error) => this.#log.warn('The data disk was not trimmed.', { reason: error.message }),
      );
    }, TRIM_DELAY_MS);
    this.#trim.unref();
  }

  /** ext4 takes freed blocks for free, and so trims them, once its journal is committed: up to 5 s later by itself. */
  async #trimNow(): Promise<string> {
    const { dataDirectory } = this.#settings;
    await runOrThrow(this.#run, ['sync', '-f', dataDirectory], TRIM_TIMEOUT_MS);
    return (await runOrThrow(this.#run, ['fstrim', '-v', dataDirectory], TRIM_TIMEOUT_MS)).trim();
  }

  #failed(reason: string): void {
    this.#status = { ...this.#status, state: 'failed', reason };
    this.#log.error('Docker cannot be started.', { reason });
  }
}

function kill({ pid }: Pick<Daemon, 'pid'>, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended a moment ago.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
