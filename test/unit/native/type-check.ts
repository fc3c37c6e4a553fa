/**
 * Type check of the native addon on Linux. clang takes the target for macOS (so that ARC, blocks and `@available` are
 * Apple's), the C library and C++ headers are the host's, Foundation is GNUstep's, and what is Apple's alone is declared
 * in native/check/include. It compiles nothing and says nothing of how the code behaves: docs/NATIVE.md.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

export const NATIVE = fileURLToPath(new URL('../../../native/', import.meta.url));
export const MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));

/** Where Debian's libgnustep-base-dev has its headers. */
const GNUSTEP = '/usr/include/GNUstep';

/** What the generated makefile passes on a Mac (gyp.test.ts), as far as it changes what is an error. */
const FLAGS = [
  '-std=c++20',
  '-fexceptions',
  '-Wall',
  '-Wextra',
  '-Wno-unused-parameter',
  '-Werror=unguarded-availability-new',
  '-DNAPI_VERSION=8',
  '-DNAPI_CPP_EXCEPTIONS',
];
const OBJECTIVE_C = ['-fobjc-arc', '-fobjc-exceptions', '-fblocks'];

export interface Checked {
  readonly ok: boolean;
  /** clang's own words, errors and warnings. */
  readonly output: string;
}

/** The addon's sources, absolute and sorted. Each includes its own header first, so headers are checked with them. */
export async function sources(): Promise<string[]> {
  const folder = path.join(NATIVE, 'src');
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.h'));
  return names.sort().map((name) => path.join(folder, name));
}

/** Checks files, `.cc` as C++ and all others as Objective-C++, for a process of one architecture. */
export async function typeCheck(files: readonly string[], architecture: 'arm64' | 'x86_64'): Promise<Checked> {
  const common = [...targetFlags(architecture), ...FLAGS, ...(await includeFlags())];
  const plain = files.filter((file) => file.endsWith('.cc'));
  const objective = files.filter((file) => !file.endsWith('.cc'));
  const runs = [
    { files: plain, flags: ['-x', 'c++'] },
    { files: objective, flags: ['-x', 'objective-c++', ...OBJECTIVE_C] },
  ].filter((run) => run.files.length > 0);
  const results = await Promise.all(
    runs.map((run) =>
      execa('clang', ['-fsyntax-only', '-ferror-limit=0', ...common, ...run.flags, ...run.files], {
        all: true,
        reject: false,
        timeout: 300_000,
      }),
    ),
  );
  return { ok: results.every(({ exitCode }) => exitCode === 0), output: results.map(({ all }) => all).join('') };
}

/**
 * The target's words are the host's, because the C library's headers are: only `__arm64__` is said, which is what
 * Apple's headers and the addon ask for.
 */
function targetFlags(architecture: 'arm64' | 'x86_64'): string[] {
  const host = process.arch === 'arm64' ? 'arm64' : 'x86_64';
  const said = architecture === 'arm64' ? '-D__arm64__=1' : '-U__arm64__';
  return ['-target', `${host}-apple-macosx13.0`, ...(architecture === host ? [] : [said])];
}

async function includeFlags(): Promise<string[]> {
  return [
    '-nostdinc',
    '-nostdinc++',
    // clang predefines it for macOS as a qualifier; glibc's headers have a macro of this name.
    '-U__nonnull',
    // g++ and clang define it for C++ on Linux, and libstdc++ needs it.
    '-D_GNU_SOURCE',
    // GNUstep must not look for another Objective-C runtime's headers than those of native/check/include.
    '-D__GNU_LIBOBJC__=20110608',
    `-I${path.join(NATIVE, 'src')}`,
    ...[
      path.join(NATIVE, 'check/include'),
      ...(await hostIncludes()),
      GNUSTEP,
      path.join(MODULES, 'node-addon-api'),
      path.join(MODULES, 'node-api-headers/include'),
    ].flatMap((folder) => ['-isystem', folder]),
  ];
}

let known: Promise<string[]> | null = null;

/** Folders in which clang looks for headers of C++ on this host, in its order. */
function hostIncludes(): Promise<string[]> {
  known ??= execa('clang', ['-E', '-v', '-x', 'c++', '/dev/null']).then(({ stderr }) => {
    const lines = stderr.split('\n');
    const begin = lines.findIndex((line) => line.startsWith('#include <...>'));
    const end = lines.findIndex((line) => line.startsWith('End of search list'));
    return lines.slice(begin + 1, end).map((line) => line.trim());
  });
  return known;
}
