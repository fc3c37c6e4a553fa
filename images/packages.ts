/** What goes into an image, as data. Changing anything here changes the image's id. */

/** Suite that everything comes from, unless {@link IMAGE_PACKAGES} says otherwise. */
export const SUITE = 'trixie';
/** box64 with a cache on disk (0.4 and later) and vhost-device-vsock are not in trixie. */
export const TOOL_SUITE = 'sid';

/** Packages of the guest's root, before their dependencies. */
export const ROOT_PACKAGES: readonly string[] = [
  'base-files',
  'base-passwd',
  'bash',
  'busybox-static',
  'ca-certificates',
  'coreutils',
  'crun',
  'dash',
  'docker-buildx',
  'docker-cli',
  'docker.io',
  'e2fsprogs',
  'hyperfine',
  'iptables',
  // The C.UTF-8 locale.
  'libc-bin',
  'mount',
  'netbase',
  'nodejs',
  'procps',
  'socat',
  'util-linux',
];

/** The kernel's metapackage: it depends on the newest versioned one. */
export const KERNEL_PACKAGE = 'linux-image-cloud-arm64';

/**
 * What the guest does without. Nothing is configured by maintainer scripts, users are declared, init and module loading
 * are busybox's, and nobody logs in.
 */
export const EXCLUDED_PACKAGES: ReadonlySet<string> = new Set([
  'adduser',
  // base-files wants one; busybox has it.
  'awk',
  'debconf',
  'debconf-2.0',
  'debianutils',
  // Holds the documentation of libgcc-s1 and libstdc++6 alone.
  'gcc-14-base',
  'init-system-helpers',
  'initramfs-tools',
  'kmod',
  'libpam-modules',
  'libpam-modules-bin',
  'libpam-runtime',
  'libsemanage2',
  'libsemanage-common',
  'linux-base',
  'linux-initramfs-tool',
  'login',
  'login.defs',
  'logsave',
  'node-corepack',
  'node-xtend',
  // For c_rehash, and algorithms that are off by default.
  'openssl',
  'openssl-provider-legacy',
  'passwd',
  'perl',
  'perl-base',
  'sysvinit-utils',
  'ucf',
]);

/** Folders and files that nothing in the guest reads. */
export const DROPPED_PATHS: readonly string[] = [
  'boot',
  'etc/cron.d',
  'etc/cron.daily',
  'etc/init.d',
  'etc/logrotate.d',
  'etc/update-motd.d',
  // Debugging and formats of containerd that dockerd does not use.
  'usr/bin/containerd-shim',
  'usr/bin/containerd-shim-runc-v1',
  'usr/bin/ctr',
  'usr/games',
  'usr/lib/aarch64-linux-gnu/gconv',
  'usr/lib/systemd',
  'usr/lib/udev',
  'usr/share/bash-completion',
  'usr/share/bug',
  'usr/share/dict',
  'usr/share/fish',
  'usr/share/initramfs-tools',
  // TypeScript's declarations of Node, half of the package.
  'usr/share/nodejs/@types',
  'usr/share/nodejs/undici-types',
  'usr/share/zsh',
  'usr/src',
];

const isBelow = (name: string, folders: readonly string[]): boolean =>
  folders.some((folder) => name === folder || name.startsWith(`${folder}/`));

/** Whether a package's file is for reading only; the licences are not meant. */
export const isDocumentation = (name: string): boolean =>
  (name.startsWith('usr/share/doc/') && !name.endsWith('/copyright')) ||
  isBelow(name, ['usr/share/info', 'usr/share/lintian', 'usr/share/locale', 'usr/share/man']);

/** Whether a package's file stays out of the guest's root. */
export const isDropped = (name: string): boolean => isDocumentation(name) || isBelow(name, DROPPED_PATHS);

/**
 * Kernel modules that the guest may load, below `kernel/`: a folder with everything in it, or one module. What they
 * depend on comes along. `vsock_loopback` stays out: with it, a container could reach the agent's port from inside.
 */
export const MODULES: readonly string[] = [
  'drivers/block/loop',
  'drivers/block/nbd',
  'drivers/block/virtio_blk',
  'drivers/char/hw_random/virtio-rng',
  'drivers/net/dummy',
  'drivers/net/ipvlan/',
  'drivers/net/macvlan',
  'drivers/net/tun',
  'drivers/net/veth',
  'drivers/net/virtio_net',
  'drivers/net/vxlan/',
  'drivers/virtio/virtio_balloon',
  'fs/binfmt_misc',
  'fs/overlayfs/',
  'net/8021q/',
  'net/bridge/',
  'net/ipv4/',
  'net/ipv6/',
  'net/netfilter/',
  'net/vmw_vsock/vmw_vsock_virtio_transport',
];

/** Alternatives that maintainer scripts would have chosen (update-alternatives(1)): the name, then its target; the first target that is there counts. */
export const ALTERNATIVES: readonly (readonly [string, string])[] = [
  ['usr/bin/awk', 'mawk'],
  ['usr/bin/awk', 'gawk'],
  ['usr/bin/c++', 'g++'],
  ['usr/bin/cc', 'gcc'],
  ['usr/sbin/ip6tables', 'ip6tables-nft'],
  ['usr/sbin/ip6tables-restore', 'ip6tables-nft-restore'],
  ['usr/sbin/ip6tables-save', 'ip6tables-nft-save'],
  ['usr/sbin/iptables', 'iptables-nft'],
  ['usr/sbin/iptables-restore', 'iptables-nft-restore'],
  ['usr/sbin/iptables-save', 'iptables-nft-save'],
];

/** Programs of busybox, linked where no Debian package of the image has the name. */
export const BUSYBOX_BIN: readonly string[] = [
  'awk', 'bunzip2', 'bzcat', 'clear', 'cpio', 'diff', 'ed', 'egrep', 'fgrep', 'find', 'free', 'fuser', 'getopt', 'grep',
  'gunzip', 'gzip', 'hostname', 'ip', 'killall', 'less', 'nc', 'netstat', 'nslookup', 'passwd', 'patch', 'pgrep', 'ping',
  'ping6', 'pkill', 'ps', 'reset', 'sed', 'start-stop-daemon', 'stat', 'strings', 'tar', 'telnet', 'time', 'top',
  'traceroute', 'unxz', 'unzip', 'usleep', 'vi', 'wget', 'which', 'xargs', 'xxd', 'xzcat', 'zcat',
]; // biome-ignore format: a list of words
export const BUSYBOX_SBIN: readonly string[] = [
  'arp', 'brctl', 'depmod', 'getty', 'halt', 'ifconfig', 'init', 'insmod', 'klogd', 'lsmod', 'modinfo', 'modprobe',
  'poweroff', 'reboot', 'rmmod', 'route', 'sysctl', 'syslogd', 'udhcpc', 'watchdog',
]; // biome-ignore format: a list of words
