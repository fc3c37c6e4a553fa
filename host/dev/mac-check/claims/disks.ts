/** Disks that are no files: block devices and network block devices, in a machine that runs. */
import path from 'node:path';
import type { VzDisk } from '../../../drivers/vz/addon.ts';
import { type Claim, type Command, type Context, judged, noted, type Result, said, unclear } from '../claim.ts';
import { emptyDisk } from './addon-scripts.ts';
import { allWell, driveMachines, linesOf } from './drive.ts';

/** Of a disk, and how the kernel lists it when its root does not mount: KiB, then the name (printk_all_partitions). */
const BYTES = 2 ** 20;
const SEEN = '1024 nvme0n1';
/** The kernel waits for this disk, and panics as there is no file system on it. */
const COMMAND_LINE = 'root=/dev/nvme0n1 rootwait';

const nbd = (url: string): VzDisk => ({ bus: 'nvme', readOnly: true, attachment: { kind: 'nbd', url, timeout: 5 } });

const NODES = ['disk', 'rdisk'] as const;
const blockImage = ({ folder }: Context): string => path.join(folder, 'block.raw');

/** `$1` an image, `$2` which node, `$3` a link to it; the rest is run while the image is a device. */
const WITH_DEVICE = `
device=$(/usr/bin/hdiutil attach -nomount -imagekey diskimage-class=CRawDiskImage "$1") || exit 3
device=\${device%%[[:space:]]*}
trap '/usr/bin/hdiutil detach -force "$device" >/dev/null' EXIT
node=/dev/$2\${device#/dev/disk}
ls -l "$node"
ln -sf "$node" "$3"
shift 3
"$@"`;

function withBlockDevice(context: Context, node: (typeof NODES)[number]): Command {
  const link = path.join(context.folder, `block-${node}`);
  const { argv, limitMs = 0 } = driveMachines(context, `block-${node}`, {
    machines: [[['start'], ['console', SEEN], ['stop']]],
    configuration: { disks: [{ bus: 'nvme', readOnly: false, attachment: { kind: 'block', path: link } }] },
    commandLine: COMMAND_LINE,
  });
  return { argv: ['/bin/sh', '-c', WITH_DEVICE, 'sh', blockImage(context), node, link, ...argv], limitMs };
}

/** All went well; what the delegate was told is evidence for people. */
const judgeDelegate: Claim['judge'] = ([result]) => {
  if (result === undefined) return unclear('');
  return judged(allWell(linesOf(result)), `delegate: ${newsOf(result).join(', ') || 'nothing'}\n${said(result)}`);
};

/** What the delegate of the attachment said, in order. */
const newsOf = (result: Result): string[] =>
  linesOf(result).flatMap(({ event, kind, error }) =>
    event !== 'disk' ? [] : [error == null ? `${kind}` : `${kind} (${error.domain} ${error.code})`],
  );

export const DISK_CLAIMS: readonly Claim[] = [
  {
    id: 'life-block-device',
    claim: 'A block device is a disk of the guest, as /dev/diskN and as /dev/rdiskN, without being root.',
    source: 'VZDiskBlockDeviceStorageDeviceAttachment.h: the device must be open, which normally needs root',
    how: 'An image is made a device of this user by hdiutil, and a kernel without a root lists its disks.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [emptyDisk(blockImage(context)), ...NODES.map((node) => withBlockDevice(context, node))],
    judge: ([, ...results]) => {
      const text = results.map((result, index) => `/dev/${NODES[index]}N: ${said(result)}`).join('\n');
      // hdiutil's own failure.
      if (results.length === 0 || results.some(({ exitCode }) => exitCode === 3)) return unclear(text);
      return judged(
        results.every((result) => allWell(linesOf(result))),
        text,
      );
    },
  },
  {
    id: 'life-nbd',
    claim: 'A network block device is a disk of the guest, and its delegate is told of the connection.',
    source: 'VZNetworkBlockDeviceStorageDeviceAttachment.h; on which thread the delegate is called, is not said',
    how: 'A small server on 127.0.0.1, and a kernel without a root that lists its disks.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, 'nbd', {
        machines: [[['start'], ['told', '"kind":"connected"'], ['console', SEEN], ['stop']]],
        configuration: { disks: [nbd('nbd://127.0.0.1:0/mac-check')] },
        commandLine: COMMAND_LINE,
        nbd: { listen: 0, bytes: BYTES, cuts: 0 },
      }),
    ],
    judge: judgeDelegate,
  },
  {
    id: 'life-nbd-reconnect',
    claim: 'A network block device whose server cuts the connection is connected again, and the guest notices nothing.',
    source:
      'VZNetworkBlockDeviceStorageDeviceAttachment.h calls an error final; Code-Hex/vz#167 saw one, and a connection after it',
    how: 'The server, on a Unix socket, cuts the first connection after the first read; what the delegate is told is wanted too.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => {
      const socket = path.join(context.folder, 'nbd.sock');
      return [
        driveMachines(context, 'nbd-reconnect', {
          machines: [[['start'], ['told', '"kind":"connected"', 2], ['console', SEEN], ['stop']]],
          configuration: { disks: [nbd(`nbd+unix:///mac-check?socket=${socket}`)] },
          commandLine: COMMAND_LINE,
          nbd: { listen: socket, bytes: BYTES, cuts: 1 },
        }),
      ];
    },
    judge: judgeDelegate,
  },
  {
    id: 'life-nbd-absent',
    claim: 'A network block device whose server is not there is told as an error, and ends no process.',
    source: 'VZNetworkBlockDeviceStorageDeviceAttachment.h; superhq-ai/shuru#25 saw the start fail on macOS 26.3',
    how: 'A machine with such a disk is started; what it says is wanted.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, 'nbd-absent', {
        machines: [[['start'], ['stop']]],
        configuration: { disks: [nbd('nbd://127.0.0.1:1/none')] },
      }),
    ],
    judge: ([result]) => {
      if (result === undefined) return unclear('');
      return result.exitCode === null ? judged(false, said(result)) : noted(said(result));
    },
  },
];
