/** What maintainer scripts would have made: accounts, links, the certificate bundle. */
import type { Entry } from '../archive/entry.ts';
import { ALTERNATIVES, BUSYBOX_BIN, BUSYBOX_SBIN } from '../packages.ts';
import { file, folder, link, type RootTree } from './tree.ts';

/** base-passwd's lists of the accounts that every Debian system has. */
const ACCOUNTS = 'usr/share/base-passwd/';
const CERTIFICATES = 'usr/share/ca-certificates/';
const BUNDLE = 'etc/ssl/certs/ca-certificates.crt';

/** Contents that {@link finishRoot} reads, of whatever package brings them. */
export const isReadToFinish = (name: string): boolean =>
  (name.startsWith(ACCOUNTS) && name.endsWith('.master')) || (name.startsWith(CERTIFICATES) && name.endsWith('.crt'));

/** Folders that programs expect and no package brings, with their permissions. */
const FOLDERS: readonly (readonly [string, number])[] = [
  ['dev', 0o755],
  ['mnt', 0o755],
  ['opt', 0o755],
  ['proc', 0o555],
  ['root', 0o700],
  ['run', 0o755],
  ['srv', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
  ['usr/local/bin', 0o755],
  ['usr/local/sbin', 0o755],
  ['var/cache', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/spool', 0o755],
  ['var/tmp', 0o1777],
];

/** What every root begins with, of either architecture. */
export const rootSkeleton = (): Entry[] => [
  ...FOLDERS.map(([name, mode]) => folder(name, mode)),
  link('var/run', '/run'),
  link('var/lock', '/run/lock'),
  link('etc/mtab', '../proc/self/mounts'),
  file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n'),
];

/** What the appliance has besides: a name of its own, and a resolver that DHCP writes at run time. */
export const applianceFiles = (): Entry[] => [
  folder('data'),
  file('etc/hostname', 'rosetta-vm\n'),
  file('etc/hosts', '127.0.0.1 localhost\n127.0.1.1 rosetta-vm\n::1 localhost ip6-localhost ip6-loopback\n'),
  link('etc/resolv.conf', '/run/resolv.conf'),
];

/** Adds what depends on the packages that are there. `read` holds the files chosen by {@link isReadToFinish}. */
export async function finishRoot(tree: RootTree, read: ReadonlyMap<string, Entry>): Promise<void> {
  for (const entry of [...accounts(read), ...certificates(read)]) await tree.add(entry);
  for (const [name, target] of ALTERNATIVES) {
    if (tree.has(`${name.slice(0, name.lastIndexOf('/'))}/${target}`)) await tree.add(link(name, target));
  }
  if (!tree.has('usr/bin/busybox')) return;
  const taken = (applet: string): boolean => ['usr/bin', 'usr/sbin'].some((place) => tree.has(`${place}/${applet}`));
  for (const applet of BUSYBOX_BIN) if (!taken(applet)) await tree.add(link(`usr/bin/${applet}`, 'busybox'));
  for (const applet of BUSYBOX_SBIN) if (!taken(applet)) await tree.add(link(`usr/sbin/${applet}`, '../bin/busybox'));
}

function accounts(read: ReadonlyMap<string, Entry>): Entry[] {
  const passwd = text(read, `${ACCOUNTS}passwd.master`);
  const group = text(read, `${ACCOUNTS}group.master`);
  if (passwd === null || group === null) return [];
  // passwd(5): `x` says that the password is in shadow, where `*` means that there is none to log in with.
  const lines = passwd.split('\n').filter((line) => line !== '');
  return [
    file('etc/passwd', lines.map((line) => `${line.replace(/^([^:]*):\*:/, '$1:x:')}\n`).join('')),
    file('etc/shadow', lines.map((line) => `${line.split(':', 1)[0]}:*:1:0:99999:7:::\n`).join(''), 0o640),
    file('etc/group', group.replaceAll(/^([^:\n]*):\*:/gm, '$1:x:')),
  ];
}

/** One file with all certificates, as update-ca-certificates(8) makes it; OpenSSL, Go and Node read it. */
function certificates(read: ReadonlyMap<string, Entry>): Entry[] {
  const names = [...read.keys()].filter((name) => name.startsWith(CERTIFICATES)).sort();
  if (names.length === 0) return [];
  const bundle = names.map((name) => text(read, name) ?? '').map((one) => (one.endsWith('\n') ? one : `${one}\n`));
  return [file(BUNDLE, bundle.join('')), link('etc/ssl/cert.pem', 'certs/ca-certificates.crt')];
}

function text(read: ReadonlyMap<string, Entry>, name: string): string | null {
  const entry = read.get(name);
  return entry?.type === 'file' ? entry.content.toString('utf8') : null;
}
