/** The smallest archive that a whole guest image can be built from. */
import { INITRD_SOURCES } from '../../../../images/initrd.ts';
import { KERNELS } from '../../../../images/kernels.ts';
import { KERNEL_PACKAGE, MODULES, ROOT_PACKAGES } from '../../../../images/packages.ts';
import { TRANSLATOR_SOURCES } from '../../../../images/translators.ts';
import type { ArchiveSpec, PackageSpec } from './archive.ts';
import { makeElf, makeFixedProgram, type TarMember } from './deb.ts';

export const KERNEL_VERSION = '6.12.1-cloud-arm64';
/** bookworm's: its package has `/lib` unmerged, and more of it are modules. */
export const OLD_KERNEL_VERSION = '6.1.0-50-cloud-arm64';

/** What the loader's edits look for, as glibc's file holds it. */
export const LOADER = [
  '',
  ...['/lib/aarch64-linux-gnu/', '/usr/lib/aarch64-linux-gnu/', 'HOME', '/lib/aarch64-linux-gnu/'],
  ...['/etc/ld.so.cache', 'inhibit /etc/ld.so.cache', '/etc/ld.so.preload', ''],
].join('\0');

function kernelImage(): Buffer {
  const image = Buffer.alloc(64);
  image.write('ARM\x64', 56, 'latin1');
  return image;
}

const DEPENDS: Readonly<Record<string, string>> = {
  'net/vmw_vsock/vmw_vsock_virtio_transport': 'vsock',
  'drivers/virtio/virtio_pci': 'virtio',
  'fs/fuse/virtiofs': 'fuse,virtio',
};

function moduleFile(path: string, folder: string): TarMember {
  const depends = DEPENDS[path] ?? '';
  return {
    name: `./${folder}/kernel/${path}.ko`,
    content: makeElf({ sections: { '.modinfo': `alias=test-${path.replaceAll('/', '-')}\0depends=${depends}\0` } }),
  };
}

const kernel = (version: string, folder: string, modules: readonly string[]): PackageSpec[] => [
  { name: KERNEL_PACKAGE, depends: `linux-image-${version} (= 1.0-1)` },
  {
    name: `linux-image-${version}`,
    files: [
      { name: `./boot/vmlinuz-${version}`, content: kernelImage() },
      ...[...MODULES, ...modules].map((one) =>
        moduleFile(one.endsWith('/') ? `${one}of_${one.replaceAll('/', '_')}` : one, `${folder}/${version}`),
      ),
      ...['vsock', 'vsock_loopback'].map((name) => moduleFile(`net/vmw_vsock/${name}`, `${folder}/${version}`)),
    ],
  },
];

const { modules: OLD_MODULES } = KERNELS['6.1'];

const library: TarMember[] = [...INITRD_SOURCES, ...TRANSLATOR_SOURCES]
  .filter((path, index, all) => path.startsWith('usr/lib/') && all.indexOf(path) === index && !path.includes('gcc'))
  .map((path) =>
    path.includes('ld-linux') ? { name: `./${path}`, content: LOADER } : { name: `./${path}`, content: `of ${path}` },
  );

const FILES: Readonly<Record<string, readonly TarMember[]>> = {
  'base-passwd': [
    { name: './usr/share/base-passwd/passwd.master', content: 'root:*:0:0:root:/root:/bin/bash\n' },
    { name: './usr/share/base-passwd/group.master', content: 'root:*:0:\n' },
  ],
  'busybox-static': [{ name: './usr/bin/busybox', content: 'busybox' }],
  'ca-certificates': [
    { name: './usr/share/ca-certificates/mozilla/B.crt', content: 'second\n' },
    { name: './usr/share/ca-certificates/mozilla/A.crt', content: 'first\n' },
  ],
  dash: [
    { name: './bin/dash', content: 'dash' },
    { name: './bin/sh', linkTarget: 'dash' },
    { name: './usr/share/man/man1/dash.1.gz', content: 'manual' },
  ],
  e2fsprogs: [
    { name: './usr/sbin/mke2fs', content: 'mke2fs' },
    { name: './etc/mke2fs.conf', content: '[defaults]\n' },
  ],
  iptables: [{ name: './usr/sbin/iptables-nft', content: 'iptables' }],
};

/** `tweak` changes the packages of a name. */
export function guestArchive(tweak: Readonly<Record<string, Partial<PackageSpec>>> = {}): ArchiveSpec {
  const root = ROOT_PACKAGES.map((name) => ({
    name,
    depends: name === 'busybox-static' ? 'libc6' : '',
    ...(FILES[name] === undefined ? {} : { files: FILES[name] }),
  }));
  const others: PackageSpec[] = [
    { name: 'libc6', version: '2.41-12', files: library },
    { name: 'libgcc-s1', files: [{ name: './usr/lib/aarch64-linux-gnu/libgcc_s.so.1', content: 'gcc' }] },
    { name: 'qemu-user', version: '1:10.0-1', files: [{ name: './usr/bin/qemu-x86_64', content: 'qemu' }] },
  ];
  const { bytes: box64 } = makeFixedProgram({
    interpreter: '/lib/ld-linux-aarch64.so.1',
    relocations: [[0, 0x34801000n]],
    relative: 1,
    slots: 1,
  });
  const tweaked = (packages: readonly PackageSpec[]): PackageSpec[] =>
    packages.map((one) => ({ ...one, ...tweak[one.name] }));
  return {
    trixie: { arm64: tweaked([...kernel(KERNEL_VERSION, 'usr/lib/modules', []), ...root, ...others]) },
    bookworm: {
      arm64: tweaked(
        kernel(OLD_KERNEL_VERSION, 'lib/modules', [...OLD_MODULES, 'drivers/virtio/virtio', 'fs/fuse/fuse']),
      ),
    },
    sid: {
      arm64: tweaked([
        { name: 'box64', version: '0.4.3-3', depends: 'libc6', files: [{ name: './usr/bin/box64', content: box64 }] },
      ]),
      amd64: tweaked([
        {
          name: 'vhost-device-vsock',
          version: '0.3.0-2',
          files: [{ name: './usr/bin/vhost-device-vsock', content: 'program' }],
        },
      ]),
    },
  };
}
