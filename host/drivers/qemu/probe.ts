/** Looks at what this host has for QEMU machines. Everything is asked with a limit, and side by side. */
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { askProgram, findProgram, firstExecutable } from '../../process/programs.ts';
import type { VirtiofsdTool } from './tools.ts';

/** The first with the CPU model that arguments.ts names. */
export const MINIMUM_QEMU: readonly [major: number, minor: number] = [7, 0];

const ASK_LIMIT_MS = 4_000;
/** The guest below needs a tenth of a second; a useless /dev/kvm spins for ever. */
const TRIAL_LIMIT_MS = 3_000;

/** What was found. A `why` says what is wrong with the part; null: nothing. */
export interface HostFindings {
  readonly qemu: { readonly path: string; readonly version: string; readonly why: string | null } | null;
  readonly kvm: KvmFinding;
  readonly setpriv: string | null;
  readonly flock: string | null;
  readonly virtiofsd: { readonly tool: VirtiofsdTool; readonly version: string; readonly why: string | null } | null;
  readonly vsock: { readonly path: string; readonly version: string; readonly why: string | null } | null;
  /** /dev/vhost-vsock is there. It does not help: see {@link ./capabilities.ts}. */
  readonly kernelVsock: boolean;
}

export interface KvmFinding {
  readonly usable: boolean;
  /** Why not; empty when usable. */
  readonly why: string;
  /** What to do about it; empty when nothing can be. */
  readonly fix: string;
}

export interface ProbeOptions {
  /** Folder of tools taken from Debian (images/ puts `<name>-<version>/<name>` there). */
  readonly toolsDirectory: string;
  readonly env: NodeJS.ProcessEnv;
  /** `process.arch` of the host. */
  readonly arch: string;
  /** Numeric user; 0 is root. */
  readonly uid: number;
}

/** Never rejects and never takes longer than about 8 s. */
export async function probeHost(options: ProbeOptions): Promise<HostFindings> {
  const { env, toolsDirectory } = options;
  const qemu = findQemu(env);
  const [foundQemu, kvm, setpriv, flock, virtiofsd, vsock, kernelVsock] = await Promise.all([
    qemu,
    qemu.then((found) => probeKvm(found?.path ?? null, options.arch)),
    findProgram('setpriv', env),
    findProgram('flock', env),
    findVirtiofsd(env, options.uid),
    findVsock(env, toolsDirectory),
    exists('/dev/vhost-vsock'),
  ]);
  return { qemu: foundQemu, kvm, setpriv, flock, virtiofsd, vsock, kernelVsock };
}

async function findQemu(env: NodeJS.ProcessEnv): Promise<HostFindings['qemu']> {
  const found = await findProgram('qemu-system-aarch64', env);
  if (found === null) return null;
  const { output } = await askProgram([found, '--version'], ASK_LIMIT_MS);
  const match = /version (\d+)\.(\d+)\.(\d+)/.exec(output);
  if (match === null) return { path: found, version: '?', why: `It does not tell its version: ${firstLine(output)}` };
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const [needMajor, needMinor] = MINIMUM_QEMU;
  const old = major < needMajor || (major === needMajor && minor < needMinor);
  const why = old ? `It is version ${major}.${minor}; ${needMajor}.${needMinor} is the oldest that can be used.` : null;
  return { path: found, version: `${major}.${minor}.${Number(match[3])}`, why };
}

async function probeKvm(qemu: string | null, arch: string): Promise<KvmFinding> {
  if (arch !== 'arm64') {
    const why = `KVM runs guests of the host's own architecture only: this host is ${arch}, the guest arm64.`;
    return { usable: false, why, fix: '' };
  }
  if (!(await exists('/dev/kvm'))) {
    const fix = 'Enable virtualization (in the firmware, or nested virtualization where this host is a guest).';
    return { usable: false, why: 'There is no /dev/kvm.', fix };
  }
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    const fix = 'Add yourself to the group of /dev/kvm (`sudo usermod -aG kvm $USER`) and log in again.';
    return { usable: false, why: 'This user may not open /dev/kvm.', fix };
  }
  if (qemu === null) return { usable: false, why: 'Without QEMU it cannot be tried.', fix: '' };
  const why = await tryAccelerator(qemu, 'kvm');
  if (why === null) return { usable: true, why: '', fix: '' };
  return { usable: false, why, fix: 'Where this host is a guest itself, ask for nested virtualization.' };
}

/**
 * Runs a four-instruction guest that powers itself off; null when it did, else what went wrong. Opening /dev/kvm
 * proves nothing: there are hosts on which a guest then never gets to its first instruction.
 */
export async function tryAccelerator(qemu: string, accelerator: 'kvm' | 'tcg'): Promise<string | null> {
  // mov w0, PSCI SYSTEM_OFF (Arm DEN0022, 0x84000008); hvc #0; b . — two words a loader device, little endian.
  const program = [0x72b0800052800100n, 0x14000000d4000002n];
  const start = 0x4040_0000; // RAM of the machine "virt" begins at 1 GiB; the device tree lies at its very start.
  const words = program.map((data, index) => `loader,addr=${start + index * 8},data=${data},data-len=8`);
  const { code, output } = await askProgram(
    [
      ...[qemu, '-nodefaults', '-no-user-config', '-display', 'none', '-m', '64'],
      ...['-machine', 'virt,gic-version=max', '-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
      ...[...words, `loader,addr=${start},cpu-num=0`].flatMap((device) => ['-device', device]),
    ],
    TRIAL_LIMIT_MS,
  );
  if (code === 0) return null;
  if (code === null) return `A trial guest did not power off within ${TRIAL_LIMIT_MS / 1000} s.`;
  return `A trial guest failed: ${firstLine(output)}`;
}

/** Debian 12's is part of qemu-system-common, later ones have a package; elsewhere it may be on PATH. */
const VIRTIOFSD_PATHS = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd', '/usr/lib/virtiofsd'];

async function findVirtiofsd(env: NodeJS.ProcessEnv, uid: number): Promise<HostFindings['virtiofsd']> {
  const found = (await findProgram('virtiofsd', env)) ?? (await firstExecutable(VIRTIOFSD_PATHS));
  if (found === null) return null;
  // As an ordinary user the C one fails before it looks at its options; then its silence tells which one it is.
  const help = await askProgram([found, '--help'], ASK_LIMIT_MS);
  const flavour = help.output.includes('--shared-dir') ? 'rust' : 'c';
  const readOnlyOption = help.output.includes('--readonly');
  const rootless = uid !== 0;
  const words = flavour === 'rust' && readOnlyOption ? [] : await ownNamespace(env, flavour, rootless);
  const namespace = words ?? [];
  const tool: VirtiofsdTool = { path: found, flavour, readOnlyOption, rootless, namespace };
  if (words === null) {
    const why = 'It needs a mount namespace (of an ordinary user: with a range of ids), and unshare(1) failed.';
    return { tool, version: 'virtiofsd', why };
  }
  const { code, output } = await askProgram([...namespace, found, '--version'], ASK_LIMIT_MS);
  if (code !== 0) return { tool, version: 'virtiofsd', why: `It does not run: ${firstLine(output)}` };
  return { tool, version: firstLine(output), why: null };
}

/**
 * Words that enter a mount namespace; null when this host does not allow it. The C virtiofsd calls setgroups(2), which
 * an ordinary user's namespace allows only with subordinate ids (user_namespaces(7), newgidmap(1)).
 */
async function ownNamespace(
  env: NodeJS.ProcessEnv,
  flavour: VirtiofsdTool['flavour'],
  rootless: boolean,
): Promise<readonly string[] | null> {
  const unshare = await findProgram('unshare', env);
  if (unshare === null) return null;
  const ids = ['--map-root-user', ...(flavour === 'c' ? ['--map-auto'] : [])];
  const words = [unshare, ...(rootless ? ids : []), '--mount', '--'];
  const { code } = await askProgram([...words, 'true'], ASK_LIMIT_MS);
  return code === 0 ? words : null;
}

async function findVsock(env: NodeJS.ProcessEnv, toolsDirectory: string): Promise<HostFindings['vsock']> {
  const name = 'vhost-device-vsock';
  const found = (await findProgram(name, env)) ?? (await firstExecutable(await toolPaths(toolsDirectory, name)));
  if (found === null) return null;
  const { code, output } = await askProgram([found, '--version'], ASK_LIMIT_MS);
  return {
    path: found,
    version: /\d+\.\d+\.\d+/.exec(output)?.[0] ?? '?',
    why: code === 0 ? null : `It does not run: ${firstLine(output)}`,
  };
}

/** `<tools>/<name>-<version>/<name>`, newest version first. */
async function toolPaths(directory: string, name: string): Promise<string[]> {
  const entries = await readdir(directory).catch(() => []);
  const newest = new Intl.Collator('en', { numeric: true });
  return entries
    .filter((entry) => entry.startsWith(`${name}-`))
    .sort((a, b) => newest.compare(b, a))
    .map((entry) => path.join(directory, entry, name));
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]?.slice(0, 200) ?? '';
}
