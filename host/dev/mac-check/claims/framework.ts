/** Virtualization.framework and the addon on it, without a machine that runs. */
import { z } from 'zod';
import { ADDON_DOMAIN, ADDON_FAILURES, type VzConfiguration, type VzDisk } from '../../../drivers/vz/addon.ts';
import { INVALID_CONFIGURATION } from '../../../drivers/vz/early-refusal.ts';
import { errorName } from '../../../drivers/vz/error-names.ts';
import { macOSOfDarwin } from '../../../plan/macos.ts';
import { type Claim, type Context, judged, noted, type Result, said, unclear } from '../claim.ts';
import { jsonIn } from '../json-in.ts';
import { emptyDisk, endWorker, hostReport, makeMachine, minimal } from './addon-scripts.ts';

const REPORT = z.looseObject({
  macOS: z.looseObject({ major: z.number(), minor: z.number() }),
  rosetta: z.looseObject({
    availability: z.string(),
    share: z.boolean(),
    maximumSocketPathBytes: z.number(),
    maximumSocketNameBytes: z.number(),
  }),
});

const reportOf = (result: Result | undefined) => REPORT.safeParse(jsonIn(result?.stdout ?? '')).data;

const FAILURE = z.looseObject({ domain: z.string(), code: z.number(), subject: z.string() });
type Failure = z.infer<typeof FAILURE>;

interface Refusal {
  readonly name: string;
  over(context: Context): Partial<VzConfiguration>;
  /** What the driver takes the refusal for (host/drivers/vz/errors.ts and early-refusal.ts): by these it finds its words. */
  readonly expected: Pick<Failure, 'domain' | 'code'> & { readonly subject?: string };
}

/** Whatever `validateWithError:`, and the checks of single values, refuse. */
const INVALID = { domain: String(INVALID_CONFIGURATION.domain), code: Number(INVALID_CONFIGURATION.code) };
const INVALID_DISK_IMAGE = { domain: 'VZErrorDomain', code: 5 };
/** The addon looks at paths before the framework does. */
const ENOENT = { domain: 'NSPOSIXErrorDomain', code: 2 };
const NOT_UNDERSTOOD = { domain: ADDON_DOMAIN, code: ADDON_FAILURES.invalid };

const withDisk = (attachment: VzDisk['attachment']): Partial<VzConfiguration> => ({
  disks: [{ bus: 'virtio', readOnly: false, attachment }],
});
const withShare = (tag: string, path: string): Partial<VzConfiguration> => ({
  shares: [{ tag, path, readOnly: true }],
});
const oddImage = ({ folder }: Context): string => `${folder}/odd.raw`;

/** Configurations that the framework, or the addon before it, must refuse with an error and not with a crash. */
const REFUSALS: readonly Refusal[] = [
  {
    name: 'a kernel that is missing',
    over: () => ({ bootLoader: { kernelURL: '/nowhere/vmlinuz', initialRamdiskURL: null, commandLine: '' } }),
    expected: { ...ENOENT, subject: 'bootLoader.kernelURL' },
  },
  {
    name: 'a shared folder that is missing',
    over: () => withShare('a', '/nowhere'),
    expected: { ...ENOENT, subject: 'shares[0]' },
  },
  {
    name: 'a tag of 36 bytes',
    over: ({ folder }) => withShare('x'.repeat(36), folder),
    expected: { ...INVALID, subject: 'shares[0]' },
  },
  {
    name: 'a disk that is missing',
    over: () => withDisk({ kind: 'file', path: '/nowhere/disk.raw' }),
    expected: { ...ENOENT, subject: 'disks[0]' },
  },
  {
    name: 'a disk image of part of a sector',
    over: (context) => withDisk({ kind: 'file', path: oddImage(context) }),
    expected: { ...INVALID_DISK_IMAGE, subject: 'disks[0]' },
  },
  {
    name: 'an NBD address without a host',
    over: () => withDisk({ kind: 'nbd', url: 'nbd://', timeout: 5 }),
    expected: { ...INVALID, subject: 'disks[0]' },
  },
  {
    name: 'an address that is none',
    over: () => withDisk({ kind: 'nbd', url: 'not a url', timeout: 5 }),
    expected: { ...NOT_UNDERSTOOD, subject: 'disks[0].attachment.url' },
  },
  { name: 'too little memory', over: () => ({ memorySize: 2 ** 20 }), expected: INVALID },
  { name: 'too many CPUs', over: () => ({ CPUCount: 4096 }), expected: INVALID },
  {
    name: 'a hardware address that is none',
    over: () => ({ network: { MACAddress: 'hello' } }),
    expected: { ...NOT_UNDERSTOOD, subject: 'network.MACAddress' },
  },
  {
    name: 'an identifier that is none',
    over: () => ({ machineIdentifier: '!' }),
    expected: { ...NOT_UNDERSTOOD, subject: 'machineIdentifier' },
  },
];

const nameOf = ({ domain, code }: Pick<Failure, 'domain' | 'code'>): string =>
  `${domain} ${code} (${errorName(domain, code) ?? 'no name is known'})`;

/** How a refusal is, and whether it is as expected. */
function judgeRefusal({ name, expected }: Refusal, result: Result | undefined) {
  const failure = FAILURE.safeParse(jsonIn(result?.stdout ?? '')).data;
  if (result?.exitCode !== 0 || failure === undefined) {
    return { well: false, text: `${name}: ${result === undefined ? 'not run' : said(result)}` };
  }
  const { domain, code, subject } = failure;
  const well = domain === expected.domain && code === expected.code && (expected.subject ?? subject) === subject;
  const other = well ? '' : `, but ${nameOf(expected)} at ${expected.subject ?? 'any'} was expected`;
  return { well, text: `${name}: ${nameOf(failure)} at ${subject || 'none'}${other}\n  ${said(result)}` };
}

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
    id: 'framework-macos-version',
    claim: 'The addon, the kernel’s release and sw_vers tell the same macOS.',
    source:
      'which Darwin macOS 27 has is not confirmed; to a program of an older SDK macOS 26 calls itself 16 (host/plan/macos.ts)',
    how: '`hostReport` and os.release() in the signed copy, beside sw_vers.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => {
      const node = context.signedNode ?? '';
      return [hostReport(context, node), { argv: [node, '-p', 'require("node:os").release()'] }];
    },
    judge: ([first, second], { facts }) => {
      const report = reportOf(first);
      const release = second?.stdout.trim() ?? '';
      if (report === undefined || release === '')
        return unclear([first, second].map((one) => one && said(one)).join('\n'));
      const version = ({ major, minor }: { readonly major: number; readonly minor: number }) => `${major}.${minor}`;
      const [addon, darwin] = [version(report.macOS), version(macOSOfDarwin(release))];
      // 26 where the minor number is 0.
      const shown = /^\d+(\.\d+)?/.exec(facts.macOS)?.[0] ?? '';
      const told = shown.includes('.') ? shown : `${shown}.0`;
      return judged(
        addon === darwin && addon === told,
        `addon ${addon}, Darwin ${release} ${darwin}, sw_vers ${facts.macOS}`,
      );
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
    claim:
      'A bad configuration comes back as an error, by the domain and number that the driver expects; none ends the process.',
    source:
      'some bad arguments raise NSException (Code-Hex/vz has a regression test for it); the numbers are inferred from headers',
    how: `One machine each with: ${REFUSALS.map(({ name }) => name).join('; ')}.`,
    needs: ['addon', 'signed-copy'],
    commands: (context) => [
      emptyDisk(oddImage(context), '1000'),
      ...REFUSALS.map(({ over }) => makeMachine(context, context.signedNode ?? '', minimal(context, over(context)))),
    ],
    judge: ([, ...results]) => {
      const judgements = REFUSALS.map((refusal, index) => judgeRefusal(refusal, results[index]));
      return judged(
        judgements.every(({ well }) => well),
        judgements.map(({ text }) => text).join('\n'),
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
        ...disks.map(({ path }) => emptyDisk(path)),
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
