/** Virtualization.framework and the addon on it, without a machine that runs. */
import { z } from 'zod';
import type { VzConfiguration } from '../../../drivers/vz/addon.ts';
import { type Claim, type Context, judged, noted, type Result, said, unclear } from '../claim.ts';
import { jsonIn } from '../json-in.ts';
import { endWorker, hostReport, makeMachine, minimal } from './addon-scripts.ts';

const REPORT = z.looseObject({
  rosetta: z.looseObject({
    availability: z.string(),
    share: z.boolean(),
    maximumSocketPathBytes: z.number(),
    maximumSocketNameBytes: z.number(),
  }),
});

const reportOf = (result: Result | undefined) => REPORT.safeParse(jsonIn(result?.stdout ?? '')).data;

/** A configuration that the framework, or the addon before it, must refuse with an error and not with a crash. */
const REFUSED: Readonly<Record<string, (context: Context) => Partial<VzConfiguration>>> = {
  'a kernel that is missing': () => ({
    bootLoader: { kernelURL: '/nowhere/vmlinuz', initialRamdiskURL: null, commandLine: '' },
  }),
  'a shared folder that is missing': () => ({ shares: [{ tag: 'a', path: '/nowhere', readOnly: true }] }),
  'a tag of 36 bytes': (context) => ({ shares: [{ tag: 'x'.repeat(36), path: context.folder, readOnly: true }] }),
  'a disk that is missing': () => ({
    disks: [{ bus: 'virtio', readOnly: false, attachment: { kind: 'file', path: '/nowhere/disk.raw' } }],
  }),
  'an NBD address without a host': () => ({
    disks: [{ bus: 'virtio', readOnly: false, attachment: { kind: 'nbd', url: 'nbd://', timeout: 5 } }],
  }),
  'an address that is none': () => ({
    disks: [{ bus: 'virtio', readOnly: false, attachment: { kind: 'nbd', url: 'not a url', timeout: 5 } }],
  }),
  'too little memory': () => ({ memorySize: 2 ** 20 }),
  'too many CPUs': () => ({ CPUCount: 4096 }),
  'a hardware address that is none': () => ({ network: { MACAddress: 'hello' } }),
};

export const FRAMEWORK_CLAIMS: readonly Claim[] = [
  {
    id: 'framework-report',
    claim: 'The addon reports what this Mac can do.',
    source: 'the limits of a Rosetta socket’s path and name are in no document: “as defined by sockaddr_un in Linux”',
    how: '`hostReport` in the signed copy. The two numbers are wanted.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => [hostReport(context, context.signedNode ?? '')],
    judge: ([result]) => {
      const report = reportOf(result);
      if (result === undefined || report === undefined) return unclear(result === undefined ? '' : said(result));
      return noted(result.stdout.trim().slice(0, 2000));
    },
  },
  {
    id: 'framework-rosetta-built-in',
    claim: 'From macOS 27 on the Rosetta share can be made without installing anything.',
    source: 'developer.apple.com, running-intel-binaries-in-linux-vms (2026)',
    how: '`hostReport`: the share was made.',
    needs: ['addon', 'signed-copy', 'macos-27'],
    commands: (context) => [hostReport(context, context.signedNode ?? '')],
    judge: ([result]) => {
      const report = reportOf(result);
      if (result === undefined || report === undefined) return unclear(result === undefined ? '' : said(result));
      const { share, availability } = report.rosetta;
      return judged(share, `availability ${availability}, share ${share ? 'made' : 'refused'}`);
    },
  },
  {
    id: 'framework-refusals',
    claim: 'A bad configuration comes back as an error; none ends the process.',
    source: 'some bad arguments raise NSException (Code-Hex/vz has a regression test for it)',
    how: `One machine each with: ${Object.keys(REFUSED).join('; ')}.`,
    needs: ['addon', 'signed-copy'],
    commands: (context) =>
      Object.values(REFUSED).map((over) =>
        makeMachine(context, context.signedNode ?? '', minimal(context, over(context))),
      ),
    judge: (results) => {
      const lines = Object.keys(REFUSED).map((name, index) => {
        const result = results[index];
        const refused = result?.exitCode === 0 && /"(domain|thrown)":/.test(result.stdout);
        return { refused, text: `${name}: ${result === undefined ? 'not run' : said(result)}` };
      });
      return judged(
        lines.every(({ refused }) => refused),
        lines.map(({ text }) => text).join('\n'),
      );
    },
  },
  {
    id: 'framework-worker',
    claim: 'A Worker that has used the addon can be ended while the process goes on.',
    source: 'nodejs/node#65100: Workers with live thread-safe functions abort on macOS arm64; the addon has none',
    how: 'A Worker loads the addon, makes a machine, watches for wakes, and is terminated.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => [endWorker(context, context.signedNode ?? '')],
    judge: ([result]) =>
      result === undefined ? unclear('') : judged(result.exitCode === 0 && /ended/.test(result.stdout), said(result)),
  },
  {
    id: 'framework-devices',
    claim:
      'NVMe, virtio and USB disks, a display with USB and Mac keyboards, and the Rosetta share fit into one configuration.',
    source: 'VZNVMExpressController.h: only with the generic platform; nothing says that they exclude each other',
    how: 'The addon makes a machine with a disk on each bus, a share, a display and the Rosetta share.',
    needs: ['addon', 'signed-copy', 'macos-14'],
    commands: (context) => {
      const disk = `${context.folder}/empty.raw`;
      const bus = (name: 'nvme' | 'virtio' | 'usb', index: number): { path: string; bus: typeof name } => ({
        path: `${disk}.${index}`,
        bus: name,
      });
      const disks = (['nvme', 'virtio', 'usb'] as const).map(bus);
      return [
        ...disks.map(({ path }) => ({ argv: ['/usr/sbin/mkfile', '-n', '1m', path] })),
        makeMachine(
          context,
          context.signedNode ?? '',
          minimal(context, {
            disks: disks.map(({ path, bus: name }) => ({
              bus: name,
              readOnly: false,
              attachment: { kind: 'file', path },
            })),
            shares: [{ tag: 'rvm-share', path: context.folder, readOnly: true }],
            rosetta: { tag: 'rvm-rosetta', caching: { kind: 'unix', path: '/dev/rvm-rosetta/rosetta.sock' } },
            graphics: { widthInPixels: 1280, heightInPixels: 800 },
            macKeyboard: true,
          }),
        ),
      ];
    },
    judge: (results) => {
      const last = results.at(-1);
      return last === undefined ? unclear('') : judged(last.stdout.trim() === 'made', said(last));
    },
  },
];
