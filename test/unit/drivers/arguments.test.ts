import { expect, test } from 'vitest';
import { machineCommands } from '../../../host/drivers/qemu/arguments.ts';
import type { DiskPlan, MachinePlan } from '../../../host/plan/plan.ts';
import { plan, tools } from './fixtures.ts';

const C_VIRTIOFSD = { path: '/v', flavour: 'c', readOnlyOption: false, rootless: false, namespace: [] } as const;

/** Options as `-name value` lines: what a person would compare. */
const lines = (argv: readonly string[]): string => argv.join(' ').replaceAll(' -', '\n-');

const withDisk = (disk: Partial<DiskPlan>): MachinePlan => ({
  ...plan,
  disks: plan.disks.slice(0, 1).map((first) => ({ ...first, ...disk })),
});

test('the whole command line of QEMU', () => {
  expect(lines(machineCommands(plan, tools).qemu.argv)).toMatchInlineSnapshot(`
    "/usr/bin/setpriv
    --pdeathsig KILL
    -- /usr/bin/qemu-system-aarch64
    -name default
    -nodefaults
    -no-user-config
    -display none
    -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
    -machine virt,memory-backend=memory,gic-version=max
    -accel tcg,thread=multi
    -cpu neoverse-n1
    -smp 4
    -m 2048M
    -object memory-backend-memfd,id=memory,size=2048M,share=on
    -no-reboot
    -kernel /i/vmlinuz
    -append console=ttyAMA0 root=/dev/nvme0n1 mitigations=off kpti=off norandmaps
    -chardev file,id=serial0,path=/m/serial.log,append=on
    -serial chardev:serial0
    -chardev socket,id=qmp0,path=/r/qmp.sock,server=on,wait=off
    -mon chardev=qmp0,mode=control
    -device nvme,id=nvme0,serial=rosetta-vm-0
    -blockdev driver=raw,node-name=disk0,read-only=off,discard=unmap,file.driver=file,file.filename=/m/system.raw,file.discard=unmap
    -device nvme-ns,id=disk0-device,bus=nvme0,nsid=1,drive=disk0
    -blockdev driver=raw,node-name=disk1,read-only=off,discard=unmap,file.driver=file,file.filename=/m/a,,b/data.raw,file.discard=unmap
    -device nvme-ns,id=disk1-device,bus=nvme0,nsid=2,drive=disk1
    -chardev socket,id=share0,path=/r/virtiofs-0.sock
    -device vhost-user-fs-pci,queue-size=1024,tag=rvm-boot,chardev=share0
    -chardev socket,id=share1,path=/r/virtiofs-1.sock
    -device vhost-user-fs-pci,queue-size=1024,tag=rvm-share-0,chardev=share1
    -chardev socket,id=vsock0,path=/r/vhost-vsock.sock
    -device vhost-user-vsock-pci,chardev=vsock0
    -netdev user,id=net0
    -device virtio-net-pci,netdev=net0,mac=52:54:00:00:00:42,romfile=
    -device virtio-rng-pci
    -device virtio-balloon-pci,free-page-reporting=on"
  `);
});

test('the command lines of the helpers, with the Rust virtiofsd', () => {
  expect(machineCommands(plan, tools).helpers.map(({ argv }) => argv.join(' '))).toMatchInlineSnapshot(`
    [
      "/usr/bin/setpriv --pdeathsig KILL -- /usr/libexec/virtiofsd --socket-path=/r/virtiofs-0.sock --shared-dir=/m/boot --readonly",
      "/usr/bin/setpriv --pdeathsig KILL -- /usr/libexec/virtiofsd --socket-path=/r/virtiofs-1.sock --shared-dir=/src,x",
      "/usr/bin/setpriv --pdeathsig KILL -- /t/vhost-device-vsock --guest-cid=42 --socket=/r/vhost-vsock.sock --uds-path=/r/vsock.sock",
    ]
  `);
});

test('the C virtiofsd gets a read-only share as a read-only mount, because it cannot refuse writes', () => {
  const virtiofsd = { ...C_VIRTIOFSD, namespace: ['unshare', '--mount', '--'] };
  const [boot, share] = machineCommands(plan, { ...tools, virtiofsd }).helpers;
  expect(boot?.argv).toEqual([
    ...['unshare', '--mount', '--', '/bin/sh', '-c'],
    'mount --bind "$0" /mnt && mount -o remount,bind,ro /mnt && exec "$@"',
    ...['/m/boot', '/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'],
    ...['/v', '--socket-path=/r/virtiofs-0.sock', '-o', 'source=/mnt'],
  ]);
  expect(share?.argv.slice(4)).toEqual(['/v', '--socket-path=/r/virtiofs-1.sock', '-o', 'source=/src\\,x']);
});

test('an ordinary user’s C virtiofsd always has namespaces, with a folder for its lock', () => {
  const virtiofsd = { ...C_VIRTIOFSD, rootless: true, namespace: ['unshare', '--map-root-user', '--mount', '--'] };
  const [, share] = machineCommands(plan, { ...tools, virtiofsd }).helpers;
  expect(share?.argv.slice(0, 8).join(' ')).toBe(
    'unshare --map-root-user --mount -- /bin/sh -c mount --bind "$0" /mnt && mount -t tmpfs tmpfs /var && ' +
      'mkdir -p /var/run/virtiofsd && exec "$@" /src,x',
  );
});

test('every process dies with its owner', () => {
  const { helpers, qemu } = machineCommands(plan, tools);
  for (const { argv } of [...helpers, qemu]) {
    expect(argv.slice(0, 4)).toEqual(['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--']);
  }
});

test('KVM uses the host’s CPU', () => {
  const line = lines(machineCommands(plan, { ...tools, accelerator: 'kvm' }).qemu.argv);
  expect(line).toContain('\n-accel kvm\n-cpu host\n');
});

test('an initrd is passed only when there is one', () => {
  expect(lines(machineCommands(plan, tools).qemu.argv)).not.toContain('-initrd');
  const setup = { ...plan, boot: { ...plan.boot, initialRamdisk: '/i/initrd' } };
  expect(lines(machineCommands(setup, tools).qemu.argv)).toContain('\n-initrd /i/initrd\n');
});

test.each<[string, Partial<DiskPlan>, string]>([
  [
    'a block device',
    { attachment: { kind: 'block', path: '/dev/sdb' } },
    'file.driver=host_device,file.filename=/dev/sdb',
  ],
  [
    'an NBD export over TCP',
    { attachment: { kind: 'nbd', url: 'nbd://[::1]/disk%201' } },
    'file.driver=nbd,file.server.type=inet,file.server.host=::1,file.server.port=10809,file.export=disk 1,file.reconnect-delay=15',
  ],
  [
    'an NBD export on a unix socket',
    { attachment: { kind: 'nbd', url: 'nbd+unix:///e?socket=/run/a,b' } },
    'file.driver=nbd,file.server.type=unix,file.server.path=/run/a,,b,file.export=e',
  ],
  ['a virtio disk', { bus: 'virtio' }, '-device virtio-blk-pci,id=disk0-device,drive=disk0,serial=system'],
  ['a USB disk', { bus: 'usb' }, '-device usb-storage,bus=usb0.0,id=disk0-device,drive=disk0,serial=system'],
  ['a read-only disk', { readOnly: true }, 'read-only=on'],
])('%s', (_what, disk, expected) => {
  expect(lines(machineCommands(withDisk(disk), tools).qemu.argv)).toContain(expected);
});

test.each<[string, Partial<DiskPlan>]>([
  ['an NBD address without a server', { attachment: { kind: 'nbd', url: 'nbd:///x' } }],
  ['an address of another protocol', { attachment: { kind: 'nbd', url: 'http://host/x' } }],
  ['an NVMe disk with another bus’s name', { guestDevice: '/dev/vda' }],
])('refuses %s', (_what, disk) => {
  expect(() => machineCommands(withDisk(disk), tools)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
});
