/** Installing packages of the host's distribution. Only apt-get is driven; elsewhere the names are told. */
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { askProgram, findProgram } from '../process/programs.ts';
import { ignoreProgress, type ProgressSink, stage } from '../progress.ts';

export interface InstallOptions {
  readonly onProgress?: ProgressSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** For `apt-get update` and `install` each: a slow mirror is bearable, a dead one is not. */
const INSTALL_LIMIT_MS = 10 * 60_000;
/** Another package manager at work usually ends soon (apt.conf, DPkg::Lock::Timeout), seconds. */
const DPKG_LOCK_TIMEOUT_S = 120;
const KEPT_LINES = 12;

/** The names that other package managers know Debian's packages by. */
const ELSEWHERE: readonly {
  readonly program: string;
  readonly install: string;
  readonly names: Readonly<Record<string, string>>;
}[] = [
  {
    program: 'dnf',
    install: 'sudo dnf install',
    names: { 'qemu-system-arm': 'qemu-system-aarch64', uidmap: 'shadow-utils' },
  },
  {
    program: 'pacman',
    install: 'sudo pacman -S',
    names: { 'qemu-system-arm': 'qemu-system-aarch64', uidmap: 'shadow' },
  },
  { program: 'zypper', install: 'sudo zypper install', names: { 'qemu-system-arm': 'qemu-arm', uidmap: 'shadow' } },
  { program: 'brew', install: 'brew install', names: { 'qemu-system-arm': 'qemu' } },
];

/** Before trixie and noble, virtiofsd was QEMU's own, in qemu-system-common. */
const WITHOUT_VIRTIOFSD: readonly string[] = ['bookworm', 'jammy'];

/**
 * Installs Debian packages and resolves to a sentence that says so. Throws `E_HOST_MISSING` when there is no apt-get or
 * no right to use it, or when it fails; `E_TIMEOUT` after ten minutes; `E_ABORTED`.
 */
export async function installPackages(packages: readonly string[], options: InstallOptions): Promise<string> {
  const { onProgress = ignoreProgress } = options;
  const aptGet = await findProgram('apt-get', process.env);
  if (aptGet === null) throw await elsewhere(packages);
  const names = debianNames(packages, await releaseCodename());
  const prefix = await rootPrefix(names);
  const run = (words: readonly string[]): Promise<void> => runAptGet([...prefix, aptGet, ...words], names, options);
  // A foreign source that cannot be reached fails the update and seldom matters: the install itself is the proof.
  await stage(onProgress, 'host.update', 'Updating the list of packages (apt-get update)', () =>
    run(['update']).catch((error: unknown) => {
      if (asRosettaVmError(error).code !== 'E_HOST_MISSING') throw error;
      onProgress({ kind: 'note', message: 'apt-get update failed in part; going on with the list that is here.' });
    }),
  );
  await stage(onProgress, 'host.install', `Installing ${names.join(' ')} (apt-get install)`, () =>
    run(['install', '--yes', '--no-install-recommends', ...names]),
  );
  return `Installed ${names.join(', ')}.`;
}

/** Packages under the names that a release of Debian or Ubuntu has for them. */
export function debianNames(packages: readonly string[], codename: string | null): string[] {
  const old = codename !== null && WITHOUT_VIRTIOFSD.includes(codename);
  return [...new Set(packages.map((name) => (old && name === 'virtiofsd' ? 'qemu-system-common' : name)))];
}

async function releaseCodename(): Promise<string | null> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(text)?.[1] ?? null;
}

/**
 * Words before a command that give it root's rights: none for root; sudo where it asks no password, or may ask one on
 * the terminal now. The environment is set after sudo, which drops it (sudoers(5), env_reset).
 */
async function rootPrefix(names: readonly string[]): Promise<string[]> {
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  if (process.getuid?.() === 0) return environment;
  const sudo = await findProgram('sudo', process.env);
  if (sudo !== null) {
    const silent = await askProgram([sudo, '-n', 'true'], 10_000);
    const allowed = silent.code === 0 || (process.stdin.isTTY === true && (await askPassword(sudo)));
    if (allowed) return [sudo, '-n', ...environment];
  }
  throw new RosettaVmError('E_HOST_MISSING', {
    what: `Packages must be installed: ${names.join(', ')}.`,
    why:
      sudo === null
        ? 'Only root may do that, and there is no sudo.'
        : 'Only root may do that, and sudo asks for a password that nobody can type here.',
    fix: `Run as root: apt-get install --no-install-recommends ${names.join(' ')}`,
    facts: { packages: names },
  });
}

async function askPassword(sudo: string): Promise<boolean> {
  process.stderr.write('Installing packages needs root’s rights.\n');
  const { failed } = await execa(sudo, ['-v'], {
    stdin: 'inherit',
    stdout: 2,
    stderr: 2,
    reject: false,
    timeout: 120_000,
  });
  return !failed;
}

async function runAptGet(argv: readonly string[], names: readonly string[], options: InstallOptions): Promise<void> {
  const { onProgress = ignoreProgress, signal } = options;
  const [program = '', ...words] = argv;
  const lines: string[] = [];
  const child = execa(program, [...words, '-o', `DPkg::Lock::Timeout=${DPKG_LOCK_TIMEOUT_S}`], {
    stdin: 'ignore',
    all: true,
    buffer: false,
    reject: false,
    timeout: INSTALL_LIMIT_MS,
    forceKillAfterDelay: 10_000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  for await (const line of child.iterable({ from: 'all' })) {
    onProgress({ kind: 'note', message: line });
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
  }
  const { failed, timedOut, isCanceled, exitCode } = await child;
  if (isCanceled) throw asRosettaVmError(signal?.reason);
  if (!failed) return;
  const command = argv.join(' ');
  throw new RosettaVmError(timedOut ? 'E_TIMEOUT' : 'E_HOST_MISSING', {
    what: timedOut ? `${command} took too long.` : `${command} failed.`,
    why: [
      timedOut
        ? `It was ended after ${INSTALL_LIMIT_MS / 60_000} minutes.`
        : `Its exit status was ${exitCode ?? 'unknown'}.`,
      ...lines,
    ].join('\n'),
    fix: `Mend the cause, or install by hand: ${names.join(' ')}`,
    facts: { packages: names, exitStatus: exitCode ?? null },
  });
}

/** What to install where apt-get is not: by this host's package manager, if it is a known one. */
async function elsewhere(packages: readonly string[]): Promise<RosettaVmError> {
  for (const { program, install, names } of ELSEWHERE) {
    if ((await findProgram(program, process.env)) === null) continue;
    return mustInstall(packages, `${install} ${packages.map((name) => names[name] ?? name).join(' ')}`);
  }
  return mustInstall(packages, `install what your system calls these packages of Debian: ${packages.join(', ')}`);
}

function mustInstall(packages: readonly string[], how: string): RosettaVmError {
  return new RosettaVmError('E_HOST_MISSING', {
    what: 'This host lacks programs that machines need.',
    why: 'rosetta-vm installs packages only through apt-get, which is not here.',
    fix: `To install them: ${how}`,
    facts: { packages },
  });
}
