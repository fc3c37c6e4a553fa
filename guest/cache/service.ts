/** The guest's one cache: attached to a translator's build, switched on and off, kept under its limit. */

import { type FSWatcher, watch } from 'node:fs';
import { chmod, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import type { PartLog } from '../agent/log.ts';
import { isMountPoint } from '../agent/mounts.ts';
import { applet, type GuestSettings } from '../agent/settings.ts';
import type { BootConfig, CacheStatus } from '../protocol.ts';
import type {
  CacheActivity,
  CachePruneRequest,
  CachePruneResult,
  CacheStats,
  CacheVerifyResult,
} from '../translation-protocol.ts';
import type { CacheView } from '../translators/translator.ts';
import { readActivity, type TimeSpan } from './activity.ts';
import type { CacheBackend, CacheServer } from './cache.ts';
import { dynacache } from './dynacache.ts';
import { rosettad } from './rosettad.ts';
import { prune, removeCorrupt, summarize, verify } from './store.ts';

const BACKENDS = { dynacache, rosettad } as const;

/** How often the limit is looked at, and then only after something was written. */
const ENFORCE_INTERVAL_MS = 30_000;
/** A burst of programs touches the same entries again and again; they are looked at once. */
const TOUCHED_DELAY_MS = 250;
/** Folders of other translator builds are of use after a switch back, but not for ever. */
const OTHER_BUILD_MS = 14 * 24 * 3600_000;
const MOUNT_TIMEOUT_MS = 30_000;

export interface CacheTarget {
  readonly backend: keyof typeof BACKENDS | 'none';
  /** Translator build that keys the folder. */
  readonly build: string;
  readonly shareDirectory: string;
  readonly socketPath: string | undefined;
}

/** Nothing here ever fails a program: what goes wrong is a state, and the programs run without the cache. */
export class CacheService {
  readonly #settings: GuestSettings;
  readonly #limitBytes: number;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  /** As the spec and the user want it. */
  #enabled: boolean;
  /** How many want it off for a while. */
  #suspended = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #listener: () => Promise<void> = () => Promise.resolve();
  #diskReady: Promise<boolean> = Promise.resolve(false);
  #target: CacheTarget | undefined;
  #attached = false;
  #failure: string | undefined;
  /** Why this host cannot have the cache at all. */
  #unavailable: string | undefined;
  #server: CacheServer | undefined;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #grown = true;
  readonly #touched = new Set<string>();
  #touchedTimer: NodeJS.Timeout | undefined;

  constructor(config: BootConfig['cache'], settings: GuestSettings, run: RunCommand, log: PartLog) {
    this.#enabled = config.enabled;
    this.#limitBytes = config.limitBytes;
    this.#settings = settings;
    this.#run = run;
    this.#log = log;
  }

  /** Says when the data disk is there; false: it will not be. */
  useDisk(ready: Promise<boolean>): void {
    this.#diskReady = ready;
  }

  /** Called, and waited for, whenever {@link view} may have changed. */
  onChange(listener: () => Promise<void>): void {
    this.#listener = listener;
  }

  /** Makes the folder of a translator's build the current one, when the data disk is there. Never throws. */
  async attach(target: CacheTarget): Promise<void> {
    try {
      await this.detach();
      this.#target = target;
      this.#failure = undefined;
      this.#unavailable = undefined;
      const backend = this.#backend;
      if (backend === undefined) return;
      if (!(await this.#diskReady)) throw noDataDisk();
      await this.#makeFolder(backend);
      // Before programs see them: box64 hangs on an entry that was cut short.
      await prune(backend, this.#directory, { keepBytes: this.#limitBytes });
      await this.#mount();
      this.#keepLimit();
      this.#attached = true;
    } catch (error) {
      this.#fail(error);
    }
    await this.#inTurn(() => this.#serve());
    await this.#changed();
  }

  /** Ends the daemon and the watching, and lets go of the data disk. */
  async detach(): Promise<void> {
    this.#attached = false;
    clearInterval(this.#timer);
    clearTimeout(this.#touchedTimer);
    this.#touchedTimer = undefined;
    this.#watcher?.close();
    this.#watcher = undefined;
    await this.#inTurn(() => this.#stopServing());
    // Programs that start from now on must not write where the folder was, and containers not be given the socket's.
    await this.#changed();
    const socketPath = this.#target?.socketPath;
    if (socketPath !== undefined) await this.#unmount(path.dirname(socketPath));
    await this.#unmount(this.#settings.cacheMountPoint);
  }

  async setEnabled(enabled: boolean): Promise<CacheStatus> {
    this.#enabled = enabled;
    await this.#switch();
    return this.status();
  }

  /** Switches it off until what is answered has been called, and everybody else's as well. */
  async suspend(): Promise<() => Promise<void>> {
    this.#suspended += 1;
    await this.#switch();
    return async () => {
      this.#suspended -= 1;
      await this.#switch();
    };
  }

  /** What the environment of a program has to say about the cache. */
  view(): CacheView {
    return { enabled: this.status().state === 'on', mountPoint: this.#settings.cacheMountPoint };
  }

  status(): CacheStatus {
    const backend = this.#target?.backend ?? 'none';
    if (this.#target === undefined) return { backend, state: 'off', reason: 'No translator is registered yet.' };
    if (backend === 'none') return { backend, state: 'off', reason: 'This translator keeps no translations.' };
    if (this.#unavailable !== undefined) return { backend, state: 'off', reason: this.#unavailable };
    if (this.#failure !== undefined) return { backend, state: 'failed', reason: this.#failure };
    if (!this.#attached) return { backend, state: 'starting' };
    if (this.#enabled && !this.#isWanted) return { backend, state: 'off', reason: 'A build runs without it just now.' };
    return { backend, state: this.#enabled ? 'on' : 'off' };
  }

  async stats(): Promise<CacheStats> {
    const empty = { entries: 0, bytes: 0, programs: [] };
    const backend = this.#backend;
    return {
      ...this.status(),
      directory: backend === undefined ? '' : this.#directory,
      build: this.#target?.build ?? '',
      limitBytes: this.#limitBytes,
      ...(backend === undefined ? empty : await summarize(backend, this.#directory).catch(() => empty)),
    };
  }

  /** Throws `E_STATE` when there is no cache. */
  async verify(): Promise<CacheVerifyResult> {
    return verify(this.#requireBackend(), this.#directory);
  }

  /** What was written and what was only read in a time span. */
  async activity(span: TimeSpan): Promise<CacheActivity> {
    const backend = this.#backend;
    const none = { newEntries: 0, newBytes: 0, reusedEntries: 0, programs: [] };
    const found = backend === undefined ? none : await readActivity(backend, this.#directory, span).catch(() => none);
    return { ...this.status(), ...span, ...found };
  }

  /** Throws `E_STATE` when there is no cache. */
  async prune(request: CachePruneRequest): Promise<CachePruneResult> {
    const backend = this.#requireBackend();
    const whole = { ...request, keepBytes: request.keepBytes ?? this.#limitBytes };
    const expected = await prune(backend, this.#directory, { ...whole, dryRun: true });
    if (request.dryRun === true) return expected;
    const result = await this.#inTurn(async () => {
      // A daemon may hold what is removed open or in an index; nothing is known, so it does not run meanwhile.
      const served = this.#server !== undefined && expected.removedEntries > 0;
      if (served) await this.#stopServing();
      try {
        const removed = await prune(backend, this.#directory, whole);
        await this.#removeOtherBuilds(removed.remainingBytes);
        return removed;
      } finally {
        if (served) await this.#serve();
      }
    });
    if (result.removedEntries > 0) {
      const { removedEntries, removedBytes, removedCorrupt } = result;
      this.#log.info('Translations were removed.', { removedEntries, removedBytes, removedCorrupt });
    }
    return result;
  }

  get #isWanted(): boolean {
    return this.#enabled && this.#suspended === 0;
  }

  get #backend(): CacheBackend | undefined {
    const name = this.#target?.backend ?? 'none';
    return name === 'none' ? undefined : BACKENDS[name];
  }

  get #backendDirectory(): string {
    return path.join(this.#settings.dataDirectory, 'cache', this.#target?.backend ?? 'none');
  }

  get #directory(): string {
    return path.join(this.#backendDirectory, this.#target?.build ?? 'none');
  }

  #requireBackend(): CacheBackend {
    const backend = this.#backend;
    const { state, reason } = this.status();
    if (backend !== undefined && state !== 'failed') return backend;
    throw new RosettaVmError('E_STATE', {
      what: 'There is no cache to work on.',
      why: reason ?? 'It is off.',
      fix: 'See `rosetta-vm status`; the translator box64 or rosetta has one.',
    });
  }

  async #makeFolder(backend: CacheBackend): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    // mkdir(2) applies the umask.
    await chmod(this.#directory, backend.directoryMode);
    // The age of a build's folder is counted from its last boot.
    await utimes(this.#directory, new Date(), new Date());
  }

  async #mount(): Promise<void> {
    const { cacheMountPoint } = this.#settings;
    await mkdir(cacheMountPoint, { recursive: true });
    const mount = (...args: string[]): Promise<string> =>
      runOrThrow(this.#run, applet(this.#settings, 'mount', ...args), MOUNT_TIMEOUT_MS);
    await mount('--bind', this.#directory, cacheMountPoint);
    // A use is seen by its access time. The data disk itself is mounted with noatime, so our own reading is not.
    await mount('-o', 'remount,bind,strictatime,nosuid,nodev', cacheMountPoint);
  }

  #keepLimit(): void {
    this.#grown = true;
    this.#watcher = watch(this.#directory, (_event, file) => this.#onTouched(file));
    this.#watcher.on('error', (error) => this.#log.warn('The cache is not watched.', { reason: error.message }));
    this.#timer = setInterval(() => {
      if (!this.#grown) return;
      this.#grown = false;
      this.prune({}).catch((error: Error) => this.#log.warn('The limit was not kept.', { reason: error.message }));
    }, ENFORCE_INTERVAL_MS);
  }

  #onTouched(file: string | null): void {
    this.#grown = true;
    if (file !== null) this.#touched.add(file);
    this.#touchedTimer ??= setTimeout(() => {
      this.#touchedTimer = undefined;
      this.#checkTouched().catch((error: Error) => {
        this.#log.warn('Entries of the cache were not checked.', { reason: error.message });
      });
    }, TOUCHED_DELAY_MS);
  }

  /** An entry that somebody damages goes at once, not at the next verify. */
  async #checkTouched(): Promise<void> {
    const files = [...this.#touched];
    this.#touched.clear();
    const backend = this.#backend;
    if (backend === undefined || !this.#attached) return;
    for (const [entry, reason] of await removeCorrupt(backend, this.#directory, files)) {
      this.#log.warn('A damaged translation was removed.', { entry, reason });
    }
  }

  /** Whoever starts or stops the daemon waits for the one before: two daemons would meet at their socket. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(act);
    this.#turn = next.catch(() => {});
    return next;
  }

  #switch(): Promise<void> {
    return this.#inTurn(async () => {
      const wanted = this.#isWanted;
      if (wanted) await this.#serve();
      else await this.#stopServing();
      await this.#changed();
      this.#log.info(wanted ? 'The cache is on.' : 'The cache is off.');
    });
  }

  /** Where the cache is wanted and the backend has a daemon; one that runs is enough. */
  async #serve(): Promise<void> {
    const serve = this.#backend?.serve;
    if (serve === undefined || this.#target === undefined || !this.#attached) return;
    if (!this.#isWanted || this.#server !== undefined) return;
    try {
      const { shareDirectory, socketPath } = this.#target;
      if (socketPath === undefined) throw noSocketPath();
      this.#server = await serve({
        // Where a use is seen by its access time.
        directory: this.#settings.cacheMountPoint,
        shareDirectory,
        socketPath,
        log: this.#log,
        expose: (folder) => this.#bind(folder, path.dirname(socketPath)),
        onDown: (reason) => this.#told(reason),
        onUp: () => this.#told(undefined),
      });
    } catch (error) {
      if (error instanceof RosettaVmError && error.code === 'E_HOST_UNSUPPORTED') {
        this.#unavailable = `${error.what} ${error.why}`;
        this.#log.warn('There is no cache; programs run without it.', { reason: this.#unavailable });
      } else this.#fail(error);
    }
  }

  /** The daemon's own news, of its death and its return. */
  async #told(failure: string | undefined): Promise<void> {
    this.#failure = failure;
    await this.#changed();
  }

  /** A bind mount, and no link: containers are given the folder, and must find in it what is there. */
  async #bind(source: string, target: string): Promise<void> {
    if (await isMountPoint(target)) return;
    await mkdir(target, { recursive: true, mode: 0o755 });
    await runOrThrow(this.#run, applet(this.#settings, 'mount', '--bind', source, target), MOUNT_TIMEOUT_MS);
  }

  /** Lazily: a running program may still have something of it open or mapped. */
  async #unmount(target: string): Promise<void> {
    if (await isMountPoint(target)) await this.#run(applet(this.#settings, 'umount', '-l', target), MOUNT_TIMEOUT_MS);
  }

  async #stopServing(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await server.stop();
    // It was the daemon's: without a daemon there is none, while a cache that could not be attached has no daemon.
    this.#failure = undefined;
  }

  /** Other builds' folders go when they are old, or when they and the current one are over the limit together. */
  async #removeOtherBuilds(currentBytes: number): Promise<void> {
    const names = (await readdir(this.#backendDirectory)).filter((name) => name !== this.#target?.build);
    for (const name of names) {
      const folder = path.join(this.#backendDirectory, name);
      const { mtimeMs } = await stat(folder);
      const backend = this.#requireBackend();
      const { bytes } = await summarize(backend, folder);
      if (Date.now() - mtimeMs < OTHER_BUILD_MS && currentBytes + bytes <= this.#limitBytes) continue;
      await rm(folder, { recursive: true, force: true });
      this.#log.info('Translations of another build were removed.', { build: name, bytes });
    }
  }

  async #changed(): Promise<void> {
    await this.#listener().catch((error: unknown) => {
      this.#log.error('Programs were not told of the cache’s state.', { reason: String(error) });
    });
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
    this.#log.error('The cache does not work; programs run without it.', { reason: this.#failure });
  }
}

function noDataDisk(): RosettaVmError {
  return new RosettaVmError('E_STATE', {
    what: 'The cache has no place.',
    why: 'The data disk is not usable.',
    fix: 'See `rosetta-vm status`.',
  });
}

function noSocketPath(): RosettaVmError {
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'The translator’s daemon cannot be reached by programs.',
    why: 'The host configured no socket for it: before macOS 14 it cannot, and with the cache off in the settings it does not.',
    fix: 'Switch the cache on in the settings and restart the machine, on macOS 14 or later.',
  });
}
