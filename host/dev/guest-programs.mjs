// The guest's small C programs, freestanding and static: a cross compiler for arm64 Linux is all that they need.
import { spawnSync } from 'node:child_process';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

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
    'engine/runc-shim/scratch.c',
  ],
};

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

/**
 * Builds the programs into dist/guest/: without them a guest could not start x86_64 programs. Where there is no compiler,
 * `install` (a function of Debian package names) is tried first. Throws a text for people when there is none after all,
 * or when a source has an error.
 */
export async function buildGuestPrograms(root, install) {
  const find = () => COMPILERS.find(({ command, works }) => works() && isInstalled(command[0]));
  if (find() === undefined) await install?.(['gcc-aarch64-linux-gnu']);
  const compiler = find();
  if (compiler === undefined) {
    throw new Error(
      'The guest’s C programs cannot be built: there is no compiler for arm64 Linux.\n' +
        'Debian, Ubuntu: apt-get install gcc-aarch64-linux-gnu. Elsewhere: install clang and lld.',
    );
  }
  await mkdir(path.join(root, 'dist/guest'), { recursive: true });
  for (const name of Object.keys(PROGRAMS)) {
    await compileGuestProgram(root, name, compiler.command, path.join(root, 'dist/guest', name));
  }
}

/** Compiles one program; unit tests do so for this host, with other paths. Throws with what the compiler said. */
export async function compileGuestProgram(root, name, [compiler, ...options], output) {
  const sources = PROGRAMS[name].map((source) => path.join(root, 'guest', source));
  const temporary = `${output}.${process.pid}.tmp`;
  const args = [...options, ...FLAGS, '-o', temporary, ...sources];
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(`${compiler} could not build the guest’s ${name}:\n${error?.message ?? stderr}`);
  await rename(temporary, output);
}

function isInstalled(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}
