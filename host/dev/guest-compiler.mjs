// The guest's small C programs, freestanding and static: a cross compiler for arm64 Linux is all that they need.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { BuildError } from './build-error.mjs';

/** Name in dist/guest/ → sources, below guest/. */
const PROGRAMS = {
  router: [
    'freestanding/start.c',
    'router/router.c',
    'router/table.c',
    'router/program.c',
    'router/launch.c',
    'router/counters.c',
    'router/embedded.c',
  ],
  runc: [
    'freestanding/start.c',
    'engine/runc-shim/runc-shim.c',
    'engine/runc-shim/bundle.c',
    'engine/runc-shim/config.c',
    'engine/runc-shim/json.c',
    'engine/runc-shim/network-key.c',
    'engine/runc-shim/scratch.c',
  ],
};

/** What they are called. */
export const GUEST_PROGRAMS = Object.keys(PROGRAMS);

/** Folders below guest/ whose C files and headers the programs are made of. */
const SOURCE_FOLDERS = ['freestanding', 'router', 'engine/runc-shim'];

/** No start files, no library, nothing that the compiler would take from one. */
const FLAGS = [
  '-std=c17',
  '-Os',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-ffreestanding',
  '-fno-stack-protector',
  // The compiler would make calls of memcpy and memset out of the loops in memcpy and memset.
  '-fno-tree-loop-distribute-patterns',
  '-fno-asynchronous-unwind-tables',
  '-fno-pie',
  '-no-pie',
  '-static',
  '-nostdlib',
  '-Wl,--build-id=none',
  '-Wl,-z,noexecstack',
  '-s',
];

/** Compilers for arm64 Linux, the first that is installed is taken. */
const COMPILERS = [
  { command: ['aarch64-linux-gnu-gcc', '-mno-outline-atomics'], works: () => true },
  { command: ['cc'], works: () => process.platform === 'linux' && process.arch === 'arm64' },
  {
    command: ['clang', '--target=aarch64-linux-gnu', '-fuse-ld=lld', '-mno-outline-atomics'],
    works: () => isInstalled('ld.lld'),
  },
];

/** How to get a compiler, for people. */
export const COMPILER_FIX =
  'Install a compiler (Debian, Ubuntu: apt-get install gcc-aarch64-linux-gnu; elsewhere: clang and lld)';

/** Program and options of a compiler for arm64 Linux; undefined when this host has none. */
export function findCompiler() {
  return COMPILERS.find(({ command, works }) => works() && isInstalled(command[0]))?.command;
}

/**
 * Compiles one program; unit tests do so for this host, with other paths. What comes out depends on the sources and the
 * compiler alone. Throws with what the compiler said.
 */
export async function compileGuestProgram(root, name, [compiler, ...options], output) {
  const sources = PROGRAMS[name].map((source) => path.join(root, 'guest', source));
  const temporary = `${output}.${process.pid}.tmp`;
  const args = [...options, ...FLAGS, '-o', temporary, ...sources];
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) {
    const said = error?.message ?? stderr;
    throw new BuildError(
      `${compiler} could not build the guest’s ${name}.`,
      said.trim(),
      'Mend the source, or try gcc.',
    );
  }
  await rename(temporary, output);
}

/** SHA-256 (hex) over all that the programs are made of, and how: equal digests are the same programs. */
export async function sourcesDigest(root) {
  const hash = createHash('sha256').update(JSON.stringify([PROGRAMS, FLAGS]));
  for (const folder of SOURCE_FOLDERS) {
    const names = await readdir(path.join(root, 'guest', folder));
    for (const name of names.filter((one) => /\.[ch]$/.test(one)).sort()) {
      const content = await readFile(path.join(root, 'guest', folder, name));
      hash.update(`${folder}/${name} ${content.length}\n`).update(content);
    }
  }
  return hash.digest('hex');
}

function isInstalled(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}
