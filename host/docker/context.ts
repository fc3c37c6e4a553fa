/**
 * The docker command line's contexts: one for a machine, selected while the machine runs. They are files, and docker
 * itself need not be installed to write them: `contexts/meta/<SHA-256 of the name>/meta.json` and `currentContext` in
 * `config.json` (https://docs.docker.com/engine/manage-resources/contexts/; docker/cli, cli/context/store).
 *
 * The context remembers which one was selected before it, so that whoever is left after a crash can put that back.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../errors.ts';
import { readBounded, writeWhole } from '../files.ts';
import { lock } from '../process/lock.ts';

/** Docker's own file holds a few settings and logins. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const LOCK_TIMEOUT_MS = 10_000;
/** What docker calls the absence of a context. */
const DEFAULT_CONTEXT = 'default';

const contextSchema = z.looseObject({
  Name: z.string(),
  Metadata: z.looseObject({ rosettaVm: z.object({ previous: z.string().nullable() }).optional() }).optional(),
  Endpoints: z.looseObject({ docker: z.looseObject({ Host: z.string() }).optional() }),
});
type StoredContext = z.output<typeof contextSchema>;

const configSchema = z.looseObject({ currentContext: z.string().optional() });
type Config = z.output<typeof configSchema>;

export interface SelectedContext {
  readonly name: string;
  /** Why plain `docker` does not use the machine all the same; null when it does. */
  readonly problem: string | null;
}

/** Context of a machine: `rosetta-vm`, or `rosetta-vm-NAME` for another than the default one. */
export function contextName(machine: string): string {
  return machine === 'default' ? 'rosetta-vm' : `rosetta-vm-${machine}`;
}

/**
 * Makes the machine's context and selects it. A context of that name that is somebody else's, and the variables by which
 * the user has chosen already, are respected. Throws `E_INVALID` when docker's own files cannot be understood, or
 * `E_LOCKED`.
 */
export async function selectContext(
  machine: string,
  socket: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<SelectedContext> {
  const store = new ContextStore(env);
  const name = contextName(machine);
  const problem = await store.inTurn(() => select(store, machine, socket));
  const variable = ['DOCKER_HOST', 'DOCKER_CONTEXT'].find((one) => (env[one] ?? '') !== '');
  return { name, problem: problem ?? (variable === undefined ? null : `${variable} is set, and docker goes by that.`) };
}

async function select(store: ContextStore, machine: string, socket: string): Promise<string | null> {
  const name = contextName(machine);
  const before = await store.read(name);
  if (before !== null && before.Metadata?.rosettaVm === undefined) {
    return `There is a context ${name} already that rosetta-vm did not make.`;
  }
  const config = await store.readConfig();
  const current = config.currentContext ?? null;
  // Selected already: its machine ended without putting the earlier one back.
  const previous = current === name ? (before?.Metadata?.rosettaVm?.previous ?? null) : current;
  await store.write({
    Name: name,
    Metadata: { Description: `rosetta-vm machine ${machine}`, rosettaVm: { previous } },
    Endpoints: { docker: { Host: `unix://${socket}`, SkipTLSVerify: false } },
  });
  await store.writeConfig({ ...config, currentContext: name });
  return null;
}

/**
 * Removes the machine's context; when it is the selected one, the one before it is selected again. Does nothing when
 * there is none, or when it leads to another socket. Throws `E_INVALID` or `E_LOCKED`.
 */
export async function dropContext(
  machine: string,
  socket: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const store = new ContextStore(env);
  const name = contextName(machine);
  if ((await store.read(name)) !== null) await store.inTurn(() => drop(store, name, `unix://${socket}`));
}

async function drop(store: ContextStore, name: string, host: string): Promise<void> {
  const own = await store.read(name);
  if (own?.Metadata?.rosettaVm === undefined || own.Endpoints.docker?.Host !== host) return;
  const { previous } = own.Metadata.rosettaVm;
  const config = await store.readConfig();
  if (config.currentContext === name) {
    const { currentContext: _own, ...rest } = config;
    const usable = previous !== null && (previous === DEFAULT_CONTEXT || (await store.read(previous)) !== null);
    await store.writeConfig(usable ? { ...rest, currentContext: previous } : rest);
  }
  // Another machine came up after this one and would put this one's context back.
  for (const other of await store.all()) {
    if (other.Metadata?.rosettaVm?.previous !== name) continue;
    await store.write({ ...other, Metadata: { ...other.Metadata, rosettaVm: { previous } } });
  }
  await store.remove(name);
}

/** The files themselves. */
class ContextStore {
  readonly #config: string;
  readonly #contexts: string;
  readonly #lock: string;

  constructor(env: NodeJS.ProcessEnv) {
    const own = env.DOCKER_CONFIG;
    const directory = own === undefined || own === '' ? path.join(homedir(), '.docker') : path.resolve(own);
    this.#config = path.join(directory, 'config.json');
    this.#contexts = path.join(directory, 'contexts', 'meta');
    this.#lock = path.join(directory, 'contexts', 'rosetta-vm.lock');
  }

  /** Machines come and go side by side, and each reads the configuration before it writes it. */
  async inTurn<T>(change: () => Promise<T>): Promise<T> {
    await mkdir(path.dirname(this.#config), { recursive: true, mode: 0o700 });
    await mkdir(path.dirname(this.#lock), { recursive: true, mode: 0o755 });
    const held = await lock(this.#lock, { timeoutMs: LOCK_TIMEOUT_MS, what: 'Docker’s configuration' });
    try {
      return await change();
    } finally {
      await held.release();
    }
  }

  async read(name: string): Promise<StoredContext | null> {
    return await readAs(path.join(this.#folderOf(name), 'meta.json'), contextSchema);
  }

  async all(): Promise<StoredContext[]> {
    const folders = await readdir(this.#contexts).catch(() => []);
    const found = await Promise.all(
      folders.map((folder) => readAs(path.join(this.#contexts, folder, 'meta.json'), contextSchema).catch(() => null)),
    );
    return found.filter((one) => one !== null);
  }

  async write(context: StoredContext): Promise<void> {
    const folder = this.#folderOf(context.Name);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeWhole(path.join(folder, 'meta.json'), JSON.stringify(context), 0o644);
  }

  async remove(name: string): Promise<void> {
    await rm(this.#folderOf(name), { recursive: true, force: true });
  }

  async readConfig(): Promise<Config> {
    return (await readAs(this.#config, configSchema)) ?? {};
  }

  /** As docker does it: with tabs, with the file's rights, and through a link, which keepers of dot-files use. */
  async writeConfig(config: Config): Promise<void> {
    const file = await realpath(this.#config).catch(() => this.#config);
    const mode = await stat(file).then(
      (found) => found.mode & 0o777,
      () => 0o600,
    );
    await writeWhole(file, JSON.stringify(config, null, '\t'), mode);
  }

  #folderOf(name: string): string {
    return path.join(this.#contexts, createHash('sha256').update(name).digest('hex'));
  }
}

/** Null when there is no such file. Throws `E_INVALID` when it is not what it should be: it is not ours to mend. */
async function readAs<T>(file: string, schema: z.ZodType<T>): Promise<T | null> {
  try {
    const text = await readBounded(file, MAX_FILE_BYTES);
    return text === null || text.trim() === '' ? null : schema.parse(JSON.parse(text));
  } catch (error) {
    throw new RosettaVmError('E_INVALID', {
      what: `Docker’s file ${file} cannot be used.`,
      why: error instanceof z.ZodError ? (error.issues[0]?.message ?? '') : (error as Error).message,
      fix: 'Mend it, or set DOCKER_HOST as `rosetta-vm env` prints it.',
      facts: { file },
      cause: error,
    });
  }
}
