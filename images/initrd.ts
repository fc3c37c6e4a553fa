/** The initial RAM disk of the machine that makes an image's system disk: busybox, mke2fs, and a script. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { writeCpio } from './archive/cpio-write.ts';
import { file, folder, link } from './root/tree.ts';

/** busybox applets that the script calls by name; `sh` runs it. */
const APPLETS = [
  'cat',
  'dd',
  'dmesg',
  'grep',
  'mount',
  'poweroff',
  'printf',
  'sh',
  'sleep',
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

/** The gzipped archive. `content` reads a file of {@link INITRD_SOURCES}; `init` is the script. */
export async function makeInitrd(content: (source: string) => Buffer, init: Buffer): Promise<Buffer> {
  const entries = [
    ...['bin', 'dev', 'etc', 'image', 'lib', 'proc', 'root', 'sbin'].map((name) => folder(name)),
    file('init', init, 0o755),
    ...FILES.map(([source, target]) => file(target, content(source), target.startsWith('etc/') ? 0o644 : 0o755)),
    ...APPLETS.map((applet) => link(`bin/${applet}`, 'busybox')),
  ];
  // zlib writes no date and no name; level 6 packs as well as 9 does, in half the time.
  return await promisify(gzip)(writeCpio(entries), { level: 6 });
}
