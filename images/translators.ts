/**
 * The translator share: box64 and qemu-user, made to run from {@link RVM_DIR} alone, in any root: a container has
 * neither an arm64 loader nor arm64 libraries.
 *
 * box64 is dynamically linked, because it hands calls of x86_64 programs to arm64 libraries. So it gets a loader of its
 * own, glibc's with its built-in paths changed. Two strings of equal length do what patchelf would (which has no
 * counterpart on macOS): no offset in the files changes. Neither does one when box64 is relocated in the file.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { RVM_DIR, type TranslatorShareManifest } from '../guest/protocol.ts';
import { writeSynced } from '../host/files.ts';
import { applyRelativeRelocations, replaceInterpreter, replaceString } from './elf.ts';

/** Where Debian's arm64 packages have them. */
const LIBRARIES = 'usr/lib/aarch64-linux-gnu';
const BOX64 = 'usr/bin/box64';
const QEMU = 'usr/bin/qemu-x86_64';
const LOADER = 'ld-linux-aarch64.so.1';

/** Packages of the share, before their dependencies. */
export const TRANSLATOR_PACKAGES: readonly string[] = ['box64', 'libc6', 'libgcc-s1', 'qemu-user'];
/** box64 asks for x86_64 libraries of the C++ runtime, which programs bring themselves. */
export const TRANSLATOR_EXCLUDED: ReadonlySet<string> = new Set([
  'gcc-14-base',
  'libgcc-s1-amd64-cross',
  'libstdc++6-amd64-cross',
  'qemu-user-binfmt',
]);

/**
 * arm64 libraries that box64 is linked with, or hands calls to when a program loads their x86_64 counterpart (box64's
 * list: src/library_list.h). Of the many that it could use instead of the program's own, only glibc is there: where a
 * native one is missing, box64 takes the program's x86_64 library.
 */
const SHARED_LIBRARIES: readonly string[] = [
  'libc.so.6',
  'libdl.so.2',
  // pthread_exit(3) loads it.
  'libgcc_s.so.1',
  'libm.so.6',
  'libpthread.so.0',
  'libresolv.so.2',
  'librt.so.1',
  'libutil.so.1',
];

/** Files of Debian's packages that {@link writeTranslators} takes. */
export const TRANSLATOR_SOURCES: readonly string[] = [
  BOX64,
  QEMU,
  ...[LOADER, ...SHARED_LIBRARIES].map((name) => `${LIBRARIES}/${name}`),
];

/**
 * Writes the share into `directory`. `content` reads one of {@link TRANSLATOR_SOURCES}, `versions` names the packages'.
 * Throws `E_INVALID` when a file does not have the strings that must be changed.
 */
export async function writeTranslators(
  directory: string,
  content: (source: string) => Buffer,
  versions: { readonly box64: string; readonly qemu: string },
): Promise<TranslatorShareManifest> {
  await mkdir(path.join(directory, 'lib'), { recursive: true });
  const files = new Map<string, Buffer>([
    ['box64', ownBox64(content(BOX64))],
    ['ld.so', ownSearchPath(content(`${LIBRARIES}/${LOADER}`))],
    ...SHARED_LIBRARIES.map((name) => [`lib/${name}`, content(`${LIBRARIES}/${name}`)] as const),
    ['qemu-x86_64', content(QEMU)],
  ]);
  const rows = [...files].map(([name, bytes]) => ({ path: name, sha256: sha256(bytes), bytes: bytes.length }));
  const build = (names: readonly string[]): string =>
    sha256(
      rows
        .filter((row) => names.includes(row.path))
        .map((row) => `${row.path} ${row.sha256}\n`)
        .join(''),
    );
  const manifest: TranslatorShareManifest = {
    schemaVersion: 1,
    translators: [
      {
        name: 'box64',
        version: versions.box64,
        program: 'box64',
        build: build(rows.map((row) => row.path).filter((name) => name !== 'qemu-x86_64')),
      },
      { name: 'qemu', version: versions.qemu, program: 'qemu-x86_64', build: build(['qemu-x86_64']) },
    ],
    files: rows,
  };
  for (const [name, bytes] of files) await writeSynced(path.join(directory, name), bytes, 0o755);
  await writeSynced(path.join(directory, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/**
 * With the share's loader, and relocated beforehand: box64's tables of wrapped functions have 160,000 pointers, which
 * its every start would write.
 */
function ownBox64(box64: Buffer): Buffer {
  const edited = Buffer.from(box64);
  replaceInterpreter(edited, `/lib/${LOADER}`, `${RVM_DIR}/ld.so`, 'box64');
  applyRelativeRelocations(edited, 'box64');
  return edited;
}

/**
 * glibc's loader reads a cache file, a preload file and then its built-in folders (ld.so(8)). A container's own must not
 * count: they are about another architecture, or about an arm64 glibc of another version.
 */
function ownSearchPath(loader: Buffer): Buffer {
  const edited = Buffer.from(loader);
  const what = 'glibc’s dynamic loader';
  const folder = '/lib/aarch64-linux-gnu/';
  // Slashes fill up: an equal length is what makes this possible. It stands twice: to search, and for `ld.so --help`.
  replaceString(edited, folder, `${RVM_DIR}/lib`.padEnd(folder.length, '/'), 2, what);
  replaceString(edited, '/etc/ld.so.cache', `${RVM_DIR}/nocache`, 1, what);
  replaceString(edited, '/etc/ld.so.preload', `${RVM_DIR}/nopreload`, 1, what);
  return edited;
}

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
