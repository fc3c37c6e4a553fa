/** The host process of a machine on a Mac: the signed copy of node, with the bundle and the addon that lie beside it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { RosettaVmError } from '../../../errors.ts';
import { packageFile } from '../../../package-root.ts';
import { type CommandRunner, runCommand } from '../../../process/run-command.ts';
import type { ProgressSink } from '../../../progress.ts';
import { version } from '../../../version.ts';
import type { HostProgram } from '../../driver.ts';
import type { VzAddon } from '../addon.ts';
import { ADDON_VARIABLE, addonFile, loadAddon } from '../load-addon.ts';
import { ensureSignedHost, type SignedHost } from './ensure.ts';
import { hostEnvironment } from './environment.ts';
import { isAppleSilicon, namedNode, nodeAccount, nodeFacts, refusal } from './node-facts.ts';
import type { BuildFacts, SourceFile } from './recipe.ts';

export interface ProgramRequest {
  /** Folder of all signed copies. */
  readonly hosts: string;
  /** Path of the addon that this installation has. */
  readonly addon: string;
  readonly onProgress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
  /** Make the copy anew even when it is there. */
  readonly again?: boolean;
  readonly surroundings?: Surroundings;
}

/** What the recipe depends on besides this process; the defaults are the real ones. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly run: CommandRunner;
  /** process.arch of the node that runs: it loads the addon itself. */
  readonly architecture: string;
  /** Release of the kernel, which tells the macOS. */
  readonly darwin: string;
  /** The host process's bundle. */
  readonly bundle: string;
}

export const realSurroundings = (): Surroundings => ({
  env: process.env,
  run: runCommand,
  architecture: process.arch,
  darwin: release(),
  bundle: packageFile('dist/machine-host.js'),
});

/**
 * Throws `E_HOST_UNSUPPORTED` under an x86_64 node. Comes before the addon is looked for: npm leaves its package out under
 * such a node, and one that is there the system refuses in words that do not say why.
 */
export async function requireArm64Node({ env, run, architecture }: Surroundings): Promise<void> {
  if (architecture === 'arm64') return;
  const appleSilicon = await isAppleSilicon(env, run);
  const refused = refusal({ execPath: process.execPath, architecture }, { appleSilicon, named: false });
  if (refused !== null) throw refused;
}

/** Path of the addon of this installation. Throws what {@link requireArm64Node} and {@link addonFile} throw. */
export async function installedAddon(surroundings: Surroundings): Promise<string> {
  await requireArm64Node(surroundings);
  return await addonFile({ env: surroundings.env });
}

/** The addon itself. Throws what {@link requireArm64Node} and {@link loadAddon} throw. */
export async function loadInstalledAddon(surroundings: Surroundings): Promise<VzAddon> {
  await requireArm64Node(surroundings);
  return await loadAddon({ env: surroundings.env });
}

/** Makes the copy when it is missing. Throws what {@link ensureSignedHost} and {@link buildFacts} throw. */
export async function signedHostProgram(request: ProgramRequest): Promise<HostProgram> {
  const { addon, surroundings = realSurroundings() } = request;
  const { env, run } = surroundings;
  const facts = await buildFacts(addon, surroundings);
  return hostProgramOf(await ensureSignedHost({ ...request, facts, run, env: hostEnvironment(env) }), env);
}

/** How the copy is started: with the addon beside it, whatever the user's environment names. */
export function hostProgramOf(host: SignedHost, env: NodeJS.ProcessEnv): HostProgram {
  return {
    argv: [host.executable, host.bundle],
    env: { ...hostEnvironment(env), [ADDON_VARIABLE]: host.addon },
    descriptors: [host.lease.fd],
    release: () => host.lease.release(),
  };
}

/**
 * Everything that decides how the copy is made. Throws `E_HOST_UNSUPPORTED` for a node that cannot be a host, `E_USAGE`
 * for a bad ROSETTA_VM_NODE, `E_CORRUPT` when a part of this installation is missing.
 */
export async function buildFacts(addon: string, { env, run, darwin, bundle }: Surroundings): Promise<BuildFacts> {
  const account = await nodeAccount(env, run);
  const appleSilicon = account.architecture === 'arm64' || (await isAppleSilicon(env, run));
  const refused = refusal(account, { appleSilicon, named: namedNode(env) !== null });
  if (refused !== null) throw refused;
  return {
    node: await nodeFacts(account),
    version,
    system: darwin,
    bundle: await sourceFile(bundle),
    addon: await sourceFile(addon),
  };
}

/** A few megabytes at most. */
async function sourceFile(file: string): Promise<SourceFile> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new RosettaVmError('E_CORRUPT', {
      what: 'A part of rosetta-vm is missing.',
      why: cause.message,
      fix: 'Reinstall rosetta-vm; in a checkout, run `npm run build`.',
      facts: { file },
      cause,
    });
  });
  return { path: file, sha256: createHash('sha256').update(bytes).digest('hex') };
}
