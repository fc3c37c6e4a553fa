/** Brings a translator up: mounts its share, registers it as the one handler of x86_64 programs, and proves it. */
import { mkdir } from 'node:fs/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import type { PartLog } from '../agent/log.ts';
import { isMountPoint, mountOptions } from '../agent/mounts.ts';
import { applet, type GuestSettings } from '../agent/settings.ts';
import type { CacheTarget } from '../cache/service.ts';
import type { BootConfig, TranslatorName, TranslatorStatus } from '../protocol.ts';
import { register } from './binfmt.ts';
import { proveTranslation } from './proof.ts';
import { TRANSLATORS } from './registry.ts';
import type { CacheView, FoundTranslator, ProgramEdits, Translator } from './translator.ts';

const COMMAND_TIMEOUT_MS = 30_000;

/** The cache, as far as a translator needs it. */
export interface CacheOfTranslator {
  attach(target: CacheTarget): Promise<void>;
  view(): CacheView;
}

export class TranslatorService {
  readonly #config: BootConfig['translator'];
  readonly #settings: GuestSettings;
  readonly #cache: CacheOfTranslator;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  #status: TranslatorStatus;
  #found: FoundTranslator | undefined;
  /** Switches wait for each other: the kernel's table is one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    config: BootConfig['translator'],
    settings: GuestSettings,
    cache: CacheOfTranslator,
    run: RunCommand,
    log: PartLog,
  ) {
    this.#config = config;
    this.#settings = settings;
    this.#cache = cache;
    this.#run = run;
    this.#log = log;
    this.#status = { state: 'starting', wanted: config.name, removedHandlers: [] };
  }

  /** Settles with the state in {@link status}; never throws. */
  async bringUp(): Promise<void> {
    await this.use(this.#config.name).catch((error: unknown) => {
      this.#log.error('The translator is not ready.', { reason: String(error) });
    });
  }

  status(): TranslatorStatus {
    return this.#status;
  }

  /** What programs need, now. Nothing while no translator is registered. */
  edits(): ProgramEdits {
    if (this.#found === undefined) return { mounts: [], env: {} };
    return TRANSLATORS[this.#found.name].edits(this.#found, this.#config, this.#cache.view());
  }

  /** Makes `name` the translator. Throws what went wrong, and {@link status} says it too. */
  use(name: TranslatorName): Promise<TranslatorStatus> {
    const next = this.#last.then(() => this.#switchTo(name));
    this.#last = next.catch(() => {});
    return next;
  }

  async #switchTo(name: TranslatorName): Promise<TranslatorStatus> {
    this.#status = { state: 'starting', wanted: name, removedHandlers: [] };
    try {
      await Promise.all([this.#mountShare(), this.#mountBinfmt()]);
      await this.#activate(name);
    } catch (error) {
      const reason = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
      this.#status = { state: 'failed', wanted: name, removedHandlers: [], reason };
      throw error;
    }
    return this.#status;
  }

  async #activate(name: TranslatorName): Promise<void> {
    const translator = TRANSLATORS[name];
    const found = await translator.find(await this.#directoryOf(translator));
    // The data disk may be long in a check; programs can be translated before it is there.
    const attached = this.#cache.attach({
      backend: translator.cacheBackend,
      build: found.build,
      shareDirectory: this.#settings.translatorShareDirectory,
      socketPath: this.#config.socketPath,
    });
    const entry = translator.binfmt(found, this.#config);
    const { registered, removed } = await register(this.#settings.binfmtDirectory, entry);
    this.#found = found;
    if (removed.length > 0)
      this.#log.warn('Other handlers of x86_64 programs were removed.', { names: removed.join(' ') });
    const { version, build, interpreter } = found;
    const active = { name, version, build, interpreter, program: interpreter, flags: registered.flags, proved: false };
    const proof = await proveTranslation(this.#settings.runDirectory, {
      ...this.#settings.environment,
      ...this.edits().env,
    });
    if (proof.executable !== interpreter || !proof.ran) {
      const reason = `A test program ran as ${proof.executable || 'nothing'} and ${proof.ran ? 'ended well' : 'failed'}.`;
      this.#log.error('The translator is registered, but not proved.', { interpreter, reason });
      this.#status = { state: 'failed', wanted: name, active, removedHandlers: removed, reason };
      return;
    }
    this.#log.info('The translator is ready.', { name, version, interpreter, flags: registered.flags });
    this.#status = { state: 'ready', wanted: name, active: { ...active, proved: true }, removedHandlers: removed };
    await attached;
  }

  async #mountShare(): Promise<void> {
    const { translatorShareDirectory } = this.#settings;
    if (await isMountPoint(translatorShareDirectory)) return;
    await mkdir(translatorShareDirectory, { recursive: true });
    await this.#applet('mount', '-t', 'virtiofs', '-o', 'ro,nosuid,nodev', this.#config.tag, translatorShareDirectory);
  }

  /** The folder that a translator is started from, filled. */
  async #directoryOf(translator: Translator): Promise<string> {
    const { translatorShareDirectory, translatorDirectory } = this.#settings;
    if (translator.startsFrom === 'share') return translatorShareDirectory;
    const options = await mountOptions(translatorDirectory);
    if (options?.has('ro')) return translatorDirectory;
    // Still writable: an agent was ended while it copied.
    if (options !== undefined) await this.#applet('umount', '-l', translatorDirectory);
    await mkdir(translatorDirectory, { recursive: true });
    await this.#applet('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,mode=755', 'translators', translatorDirectory);
    await this.#applet('cp', '-a', `${translatorShareDirectory}/.`, translatorDirectory);
    await this.#applet('mount', '-o', 'remount,ro', translatorDirectory);
    return translatorDirectory;
  }

  async #mountBinfmt(): Promise<void> {
    const { binfmtDirectory } = this.#settings;
    if (await isMountPoint(binfmtDirectory)) return;
    await this.#run(applet(this.#settings, 'modprobe', 'binfmt_misc'), COMMAND_TIMEOUT_MS);
    await this.#applet('mount', '-t', 'binfmt_misc', 'binfmt_misc', binfmtDirectory);
  }

  async #applet(name: string, ...args: string[]): Promise<void> {
    await runOrThrow(this.#run, applet(this.#settings, name, ...args), COMMAND_TIMEOUT_MS);
  }
}
