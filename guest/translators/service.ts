/** Brings a translator up: mounts its share, registers it as the one handler of x86_64 programs, and proves it. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import { writeWhole } from '../../host/files.ts';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import type { PartLog } from '../agent/log.ts';
import { isMountPoint } from '../agent/mounts.ts';
import { applet, type GuestSettings } from '../agent/settings.ts';
import type { CacheTarget } from '../cache/service.ts';
import { writeEdits } from '../engine/edits.ts';
import { type BootConfig, TRANSLATORS_TAG, type TranslatorName, type TranslatorStatus } from '../protocol.ts';
import type { DenyRow, ExecCounts } from '../translation-protocol.ts';
import { type BinfmtEntry, register, x86_64Entry } from './binfmt.ts';
import { forgetPrograms, keepPrograms, readExecCounts, recallPrograms } from './exec-counts.ts';
import { Loans } from './loans.ts';
import { COUNTERS_FILE, ensureTranslatorFolder, ROUTER_FILE, TABLE_FILE } from './memory.ts';
import { proveTranslation } from './proof.ts';
import { translatorsFor } from './registry.ts';
import { type RoutedTranslator, routerTable } from './router-table.ts';
import type { CacheView, FoundTranslator, ProgramEdits, Translator } from './translator.ts';

const COMMAND_TIMEOUT_MS = 30_000;
/** On the data disk. */
const KEPT_STARTS = 'program-starts';

/**
 * All of them: P brings the router argv[0] as it was given, C the rights of set-uid programs, O (which C implies) the
 * file of a program that may be executed but not read, F works in every root.
 */
const ROUTER_FLAGS = 'POCF';

/** The cache, as far as a translator needs it. */
export interface CacheOfTranslator {
  attach(target: CacheTarget): Promise<void>;
  view(): CacheView;
}

/** What else decides how programs are started. */
export interface TranslatorInputs {
  readonly cache: CacheOfTranslator;
  denied(): readonly DenyRow[];
}

export class TranslatorService {
  readonly #config: BootConfig['translator'];
  readonly #translators: Readonly<Record<TranslatorName, Translator>>;
  readonly #settings: GuestSettings;
  readonly #inputs: TranslatorInputs;
  readonly #run: RunCommand;
  readonly #log: PartLog;
  #status: TranslatorStatus;
  readonly #loans: Loans<TranslatorName, TranslatorStatus>;
  /** The one that was asked for first, then those that the router may fall back to. */
  #found: readonly FoundTranslator[] = [];
  /** Switches wait for each other: the kernel's table is one. */
  #last: Promise<unknown> = Promise.resolve();
  /** And so do the writers of the router's table: the last one must know the newest state. */
  #published: Promise<void> = Promise.resolve();

  constructor(
    config: BootConfig['translator'],
    settings: GuestSettings,
    inputs: TranslatorInputs,
    run: RunCommand,
    log: PartLog,
  ) {
    this.#config = config;
    this.#translators = translatorsFor(config);
    this.#settings = settings;
    this.#inputs = inputs;
    this.#run = run;
    this.#log = log;
    this.#status = { state: 'starting', wanted: config.name, removedHandlers: [] };
    this.#loans = new Loans(config.name, (name: TranslatorName) => {
      const next = this.#last.then(() => this.#switchTo(name));
      this.#last = next.catch(() => {});
      return next;
    });
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

  /** What the environment of programs needs, now: nothing where the router sets it. */
  environment(): Readonly<Record<string, string>> {
    return this.#edits().env;
  }

  /** How many programs each translator was started for. */
  async execCounts(): Promise<ExecCounts> {
    if (!this.#isRouted) return { counted: false, translators: [] };
    return await readExecCounts(
      this.#counters,
      this.#found.map(({ name }) => name),
    );
  }

  /** The cache was emptied: what programs translate is to be kept again from their next start on. */
  async forgetPrograms(): Promise<void> {
    if (this.#isRouted) await forgetPrograms(this.#counters, this.#keptStarts);
  }

  /** Before the power goes: which programs are in the cache is true as long as the cache is. Needs the data disk. */
  async keepPrograms(): Promise<void> {
    if (this.#isRouted) await keepPrograms(this.#counters, this.#keptStarts, this.#routedBuilds);
  }

  /** What {@link keepPrograms} kept in an earlier boot counts again. Needs the data disk. */
  async recallPrograms(): Promise<void> {
    if (!this.#isRouted) return;
    const programs = await recallPrograms(this.#counters, this.#keptStarts, this.#routedBuilds);
    this.#log.info('Starts of programs are counted on.', { programs });
  }

  /** Makes `name` the translator. Throws what went wrong, and {@link status} says it too. */
  use(name: TranslatorName): Promise<TranslatorStatus> {
    return this.#loans.choose(name);
  }

  /** The same until what is answered has been called. */
  borrow(name: TranslatorName): Promise<() => Promise<void>> {
    return this.#loans.borrow(name);
  }

  /** Tells the router and the runc shim what counts now; from the next exec and the next container on it does. */
  publish(): Promise<void> {
    const next = this.#published.then(() => this.#publish());
    this.#published = next.catch(() => {});
    return next;
  }

  async #publish(): Promise<void> {
    const { translatorDirectory, runDirectory } = this.#settings;
    if (this.#found.length === 0) return;
    if (this.#isRouted) {
      const table = routerTable(this.#routed(), this.#inputs.denied());
      await writeWhole(path.join(translatorDirectory, TABLE_FILE), table, 0o644);
    } else if (this.#inputs.denied().length > 0) {
      this.#log.warn('The deny list does not count: the kernel starts the translator itself.', {
        fix: 'Set router: true under rosetta in the settings.',
      });
    }
    await writeEdits(runDirectory, this.#edits());
  }

  async #switchTo(name: TranslatorName): Promise<TranslatorStatus> {
    this.#status = { state: 'starting', wanted: name, removedHandlers: [] };
    try {
      await Promise.all([this.#mountShares(this.#translators[name]), this.#mountBinfmt()]);
      await this.#activate(name);
    } catch (error) {
      const reason = error instanceof RosettaVmError ? `${error.what} ${error.why}` : String(error);
      this.#status = { state: 'failed', wanted: name, removedHandlers: [], reason };
      throw error;
    }
    return this.#status;
  }

  async #activate(name: TranslatorName): Promise<void> {
    const translator = this.#translators[name];
    const [found, ...fallbacks] = await this.#find(translator);
    // The data disk may be long in a check; programs can be translated before it is there.
    const attached = this.#inputs.cache.attach({
      backend: translator.cacheBackend,
      build: found.build,
      shareDirectory: this.#shareOf(translator),
      socketPath: this.#config.socketPath,
    });
    this.#found = [found, ...fallbacks];
    await this.publish();
    const { registered, removed } = await register(this.#settings.binfmtDirectory, this.#entry(translator, found));
    if (removed.length > 0)
      this.#log.warn('Other handlers of x86_64 programs were removed.', { names: removed.join(' ') });
    const { version, build, interpreter: program } = found;
    const { interpreter, flags } = registered;
    const started = {
      active: { name, version, build, interpreter, program, flags, proved: false },
      fallbacks: fallbacks.map((other) => ({ name: other.name, version: other.version })),
      wanted: name,
      removedHandlers: removed,
    };
    const environment = {
      ...this.#settings.environment,
      ...this.environment(),
      // The program of the proof is static, which the router would give to another translator.
      ...(this.#isRouted ? { ROSETTA_VM_TRANSLATOR: name } : {}),
    };
    const router = this.#isRouted ? interpreter : undefined;
    const proof = await proveTranslation(this.#settings.runDirectory, environment, router);
    if (proof.executable !== program || !proof.ran) {
      const reason = `A test program ran as ${proof.executable || 'nothing'} and ${proof.ran ? 'ended well' : 'failed'}.`;
      this.#log.error('The translator is registered, but not proved.', { program, reason });
      this.#status = { ...started, state: 'failed', reason };
      return;
    }
    this.#log.info('The translator is ready.', { name, version, interpreter, flags });
    this.#status = { ...started, state: 'ready', active: { ...started.active, proved: true } };
    await attached;
  }

  /** The translator, then the others that the router can start; of these one that the share lacks is left out. */
  async #find(translator: Translator): Promise<[FoundTranslator, ...FoundTranslator[]]> {
    const { translatorDirectory } = this.#settings;
    if (translator.start.by === 'kernel') return [await translator.find(this.#shareOf(translator))];
    await ensureTranslatorFolder(this.#settings, this.#run);
    const placeOf = (one: Translator): string => (one.share === 'apple' ? this.#shareOf(one) : translatorDirectory);
    const first = await translator.find(placeOf(translator));
    const others = Object.values(this.#translators).filter(
      (other) => other !== translator && other.start.by === 'router',
    );
    const found = await Promise.all(others.map((other) => other.find(placeOf(other)).catch(() => undefined)));
    return [first, ...found.filter((other) => other !== undefined)];
  }

  #entry(translator: Translator, found: FoundTranslator): BinfmtEntry {
    if (translator.start.by === 'kernel') return translator.start.binfmt(found, this.#config);
    return x86_64Entry('rvm-router', path.join(this.#settings.translatorDirectory, ROUTER_FILE), ROUTER_FLAGS);
  }

  get #counters(): string {
    return path.join(this.#settings.translatorDirectory, COUNTERS_FILE);
  }

  get #keptStarts(): string {
    return path.join(this.#settings.dataDirectory, KEPT_STARTS);
  }

  /** The same whichever of them is the first. */
  get #routedBuilds(): string {
    return this.#found
      .map(({ name, build }) => `${name}=${build}`)
      .toSorted()
      .join(' ');
  }

  get #isRouted(): boolean {
    return this.#routed().length > 0;
  }

  #routed(): RoutedTranslator[] {
    return this.#found.flatMap((found) => {
      const { start } = this.#translators[found.name];
      if (start.by !== 'router') return [];
      const { env, settledEnv = {} } = this.#editsOf(found);
      return [{ name: found.name, program: found.interpreter, start, env, settledEnv }];
    });
  }

  #editsOf(found: FoundTranslator): ProgramEdits {
    const translator = this.#translators[found.name];
    const view = this.#inputs.cache.view();
    // The folder is that of the first translator; another one's files have no place in it.
    const first = this.#found[0];
    const isOwn = first !== undefined && this.#translators[first.name].cacheBackend === translator.cacheBackend;
    return translator.edits(found, this.#config, { ...view, enabled: view.enabled && isOwn });
  }

  /** Of all translators together. */
  #edits(): ProgramEdits {
    const edits = this.#found.map((found) => this.#editsOf(found));
    if (!this.#isRouted) return edits[0] ?? { mounts: [], env: {} };
    const { translatorDirectory } = this.#settings;
    return {
      mounts: [
        { path: translatorDirectory, readOnly: true },
        { path: path.join(translatorDirectory, COUNTERS_FILE), readOnly: false },
        ...edits.flatMap(({ mounts }) => mounts),
      ],
      env: {},
      scratch: edits.flatMap(({ scratch = [] }) => scratch),
    };
  }

  #shareOf({ share }: Translator): string {
    return share === 'apple' ? this.#settings.rosettaShareDirectory : this.#settings.translatorShareDirectory;
  }

  /** The translator's own, and the image's where the router may fall back to what is in it. */
  async #mountShares(translator: Translator): Promise<void> {
    const { rosettaShareDirectory, translatorShareDirectory } = this.#settings;
    if (translator.share === 'apple') {
      const isConfigured = translator.name === this.#config.name;
      // The host attaches Apple's share only where it is wanted: with it the machine is slower for arm64 programs.
      if (!isConfigured) throw notAttached(translator.name);
      await this.#mountShare(this.#config.tag, rosettaShareDirectory);
    }
    if (translator.start.by === 'router') await this.#mountShare(TRANSLATORS_TAG, translatorShareDirectory);
  }

  async #mountShare(tag: string, directory: string): Promise<void> {
    if (await isMountPoint(directory)) return;
    await mkdir(directory, { recursive: true });
    await this.#applet('mount', '-t', 'virtiofs', '-o', 'ro,nosuid,nodev', tag, directory);
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

function notAttached(name: TranslatorName): RosettaVmError {
  return new RosettaVmError('E_STATE', {
    what: `The machine was started without ${name}.`,
    why: 'The host shows its files only to a machine whose settings ask for it.',
    fix: `Set translator: ${name}, then restart the machine with \`rosetta-vm down\` and \`rosetta-vm up\`.`,
    facts: { translator: name },
  });
}
