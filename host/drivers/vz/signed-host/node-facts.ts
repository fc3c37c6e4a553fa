/** What the recipe must know of the node that is copied. Looks, changes nothing. */
import { access, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../../../errors.ts';
import type { CommandRunner } from '../../../process/run-command.ts';
import { hostEnvironment } from './environment.ts';

export interface NodeFacts {
  /** Real path: a version manager's shim is not what runs (pyobjc#434 is the same lesson). */
  readonly executable: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** process.versions.node. */
  readonly version: string;
  /** process.arch. */
  readonly architecture: string;
  /** The library that holds all of node where the executable only loads it (Homebrew, since December 2025), or null. */
  readonly libnode: string | null;
}

/** What a node says of itself. */
export interface NodeAccount {
  readonly execPath: string;
  readonly version: string;
  readonly architecture: string;
  /** process.config.variables.node_shared: true in Homebrew's, false in the official builds. */
  readonly shared: boolean;
  /** process.versions.modules, which names libnode. */
  readonly abi: string;
}

/** Names another node than the running one; for people whose own cannot be copied. */
export const NODE_VARIABLE = 'ROSETTA_VM_NODE';

const ACCOUNT = z.object({
  execPath: z.string().max(4096).refine(path.isAbsolute),
  version: z.string().max(64),
  architecture: z.string().max(32),
  shared: z.boolean(),
  abi: z.string().regex(/^\d{1,5}$/),
});
const ACCOUNT_SCRIPT = `process.stdout.write(JSON.stringify({
  execPath: process.execPath, version: process.versions.node, architecture: process.arch,
  shared: process.config.variables.node_shared === true, abi: process.versions.modules }))`;
const ACCOUNT_LIMIT_MS = 20_000;

/** The path in ROSETTA_VM_NODE; null: the running node is meant. */
export const namedNode = (env: NodeJS.ProcessEnv): string | null => env[NODE_VARIABLE] || null;

/** Of the node that ROSETTA_VM_NODE names, else of the running one. Throws `E_USAGE` when the former is no node. */
export async function nodeAccount(env: NodeJS.ProcessEnv, run: CommandRunner): Promise<NodeAccount> {
  const other = namedNode(env);
  if (other === null) return ownAccount();
  const answer = await run([other, '-e', ACCOUNT_SCRIPT], { env: hostEnvironment(env), limitMs: ACCOUNT_LIMIT_MS });
  try {
    return ACCOUNT.parse(JSON.parse(answer.stdout));
  } catch (cause) {
    throw new RosettaVmError('E_USAGE', {
      what: `${NODE_VARIABLE} names no usable Node.js: ${other}`,
      why: answer.absent ? 'There is no such program.' : answer.stderr.trim().slice(-500) || 'It did not answer.',
      fix: `Set ${NODE_VARIABLE} to the path of an arm64 build of Node.js, or unset it.`,
      facts: { [NODE_VARIABLE]: other },
      cause,
    });
  }
}

function ownAccount(): NodeAccount {
  return {
    execPath: process.execPath,
    version: process.versions.node,
    architecture: process.arch,
    shared: (process.config.variables as { readonly node_shared?: unknown }).node_shared === true,
    abi: process.versions.modules,
  };
}

/** Throws `E_HOST_UNSUPPORTED` when libnode is not where the executable looks for it. */
export async function nodeFacts(account: NodeAccount): Promise<NodeFacts> {
  const executable = await realpath(account.execPath);
  const { size, mtimeMs } = await stat(executable);
  return {
    executable,
    sizeBytes: size,
    modifiedMs: mtimeMs,
    version: account.version,
    architecture: account.architecture,
    libnode: account.shared ? await findLibnode(executable, account.abi) : null,
  };
}

/** LC_RPATH of Homebrew's stub is `@loader_path` and `@loader_path/../lib` (homebrew-core#256036). */
async function findLibnode(executable: string, abi: string): Promise<string> {
  const folder = path.dirname(executable);
  const name = `libnode.${abi}.dylib`;
  for (const candidate of [path.join(folder, name), path.join(folder, '..', 'lib', name)]) {
    const there = await access(candidate).then(
      () => true,
      () => false,
    );
    if (there) return candidate;
  }
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `${name}, which this Node.js is made of, was not found.`,
    why: `${executable} is only a starter (Homebrew builds it so), and the library is neither beside it nor in ../lib.`,
    fix: `Run \`brew reinstall node\`, or set ${NODE_VARIABLE} to a Node.js from nodejs.org.`,
    facts: { executable, library: name },
  });
}

const SYSCTL_LIMIT_MS = 5_000;

/**
 * What keeps this node from machines, or null. `appleSilicon`: what {@link isAppleSilicon} says; `named`: it is the one of
 * ROSETTA_VM_NODE. For the running node that variable is no way out: it loads the addon itself, to ask the framework.
 */
export function refusal(
  node: Pick<NodeAccount, 'execPath' | 'architecture'>,
  { appleSilicon, named }: { readonly appleSilicon: boolean; readonly named: boolean },
): RosettaVmError | null {
  if (node.architecture === 'arm64') return null;
  const facts = { capability: 'node-architecture', executable: node.execPath, architecture: node.architecture };
  if (!appleSilicon) {
    return new RosettaVmError('E_HOST_UNSUPPORTED', {
      what: 'This Mac has an Intel processor.',
      why: 'Rosetta for Linux needs Apple silicon, and an Intel Mac runs x86_64 containers without it.',
      fix: 'Use a Mac with Apple silicon.',
      facts,
    });
  }
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `${named ? `The Node.js of ${NODE_VARIABLE}` : 'This Node.js'} is an x86_64 program, which macOS itself runs under Rosetta.`,
    why: `${node.execPath} is built for ${node.architecture}; virtual machines with Rosetta need an arm64 process.`,
    fix: named
      ? `Set ${NODE_VARIABLE} to the path of an arm64 build of Node.js, or unset it.`
      : 'Install an arm64 Node.js (in an arm64 terminal: `uname -m` says arm64) and reinstall rosetta-vm with it.',
    facts,
  });
}

/** `hw.optional.arm64` is about the machine, whatever this process is (sysctl(8)); Intel Macs do not know the name. */
export async function isAppleSilicon(env: NodeJS.ProcessEnv, run: CommandRunner): Promise<boolean> {
  const answer = await run(['/usr/sbin/sysctl', '-n', 'hw.optional.arm64'], { env, limitMs: SYSCTL_LIMIT_MS });
  return answer.exitCode === 0 && answer.stdout.trim() === '1';
}
