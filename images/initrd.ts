/**
 * The initial RAM disk: busybox, mke2fs, the modules that the kernel needs to reach its disk, and a script. It makes an
 * image's system disk, and boots machines whose disk is behind a module.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { writeCpio } from './archive/cpio-write.ts';
import type { Entry } from './archive/entry.ts';
import { file, folder, link } from './root/tree.ts';

/** busybox applets that the script calls by name; `sh` runs it. */
const APPLETS = [
  'cat',
  'dd',
  'dmesg',
  'grep',
  'modprobe',
  'mount',
  'poweroff',
  'printf',
  'sh',
  'sleep',
  'switch_root',
  'sync',
  'tar',
  'umount',
  'usleep',
] as const;

/** Programs and libraries by their path in Debian's arm64 packages; what mke2fs needs is in its dynamic section. */
const LIBRARIES = 'usr/lib/aarch64-linux-gnu';
const FILES: readonly (readonly [string, string])[] = [
  ['etc/mke2fs.conf', 'etc/mke2fs.conf'],
  ['usr/bin/busybox', 'bin/busybox'],
  ['usr/sbin/mke2fs', 'sbin/mke2fs'],
  ...['libblkid.so.1', 'libc.so.6', 'libcom_err.so.2', 'libe2p.so.2', 'libext2fs.so.2', 'libuuid.so.1'].map(
    (name) => [`${LIBRARIES}/${name}`, `lib/${name}`] as const,
  ),
  [`${LIBRARIES}/ld-linux-aarch64.so.1`, 'lib/ld-linux-aarch64.so.1'],
];

/** Files of Debian's packages that go in. */
export const INITRD_SOURCES: readonly string[] = FILES.map(([source]) => source);

/**
 * The gzipped archive. `content` reads a file of {@link INITRD_SOURCES}; `init` is the script; `modules` are files below
 * `usr/lib/modules`, as kernelModules makes them.
 */
export async function makeInitrd(
  content: (source: string) => Buffer,
  init: Buffer,
  modules: readonly Entry[],
): Promise<Buffer> {
  const entries = [
    ...['bin', 'dev', 'etc', 'image', 'lib', 'proc', 'root', 'sbin'].map((name) => folder(name)),
    file('init', init, 0o755),
    ...FILES.map(([source, target]) => file(target, content(source), target.startsWith('etc/') ? 0o644 : 0o755)),
    ...APPLETS.map((applet) => link(`bin/${applet}`, 'busybox')),
    ...withParents(modules.filter((entry) => entry.type === 'file').map(inLib)),
  ];
  // zlib writes no date and no name; level 6 packs as well as 9 does, in half the time.
  return await promisify(gzip)(writeCpio(entries), { level: 6 });
}

/** `lib` is a folder here, not a link into /usr. */
const inLib = (entry: FileEntry): FileEntry => ({ ...entry, path: entry.path.replace(/^usr\//, '') });

type FileEntry = Extract<Entry, { readonly type: 'file' }>;

/** Each file after the folders that it is in, below `lib`. */
function withParents(files: readonly FileEntry[]): Exclude<Entry, { readonly type: 'hardlink' }>[] {
  const folders = new Set<string>();
  for (const { path: name } of files) {
    for (let at = name.indexOf('/', 'lib/'.length); at !== -1; at = name.indexOf('/', at + 1)) {
      folders.add(name.slice(0, at));
    }
  }
  return [...[...folders].sort().map((name) => folder(name)), ...files];
}
