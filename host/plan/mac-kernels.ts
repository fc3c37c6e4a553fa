/**
 * Which guest kernels Apple's Rosetta runs under, by macOS: Rosetta is a part of the host's system and changes with it.
 * Every row was reported by users, none was tried here: not run on a Mac.
 */
import type { KernelFacts, KernelSeries } from '../../images/kernels.ts';
import { RosettaVmError } from '../errors.ts';
import { type MacOSVersion, macOSText } from './macos.ts';

/** Major and minor; `before` is not within. */
type Range = { readonly from?: readonly [number, number]; readonly before?: readonly [number, number] };

/** A pair of macOS and kernel that does not work, or of which nobody has told that it does. */
export interface Incompatibility {
  readonly verdict: 'broken' | 'unproven';
  readonly macOS: Range;
  readonly kernel: Range & { readonly otherPagesThan?: number };
  /** What x86_64 programs end with. */
  readonly symptom: string;
  readonly why: string;
  /** The macOS from which on the pair works; null: none is known. */
  readonly fixedIn: string | null;
  readonly sources: readonly string[];
}

const VDSO_HASH = 'assertion failed [hash_table != nullptr]: Failed to find vdso DT_HASH';
/** True of Debian's 6.12.117; 6.1.176 and 6.1.192 have the table (read in their Images). */
const WITHOUT_VDSO_HASH =
  'From Linux 6.11 on, the library that the kernel gives to programs (vDSO) has no table of the old kind (DT_HASH), which Rosetta looks for.';

export const INCOMPATIBILITIES: readonly Incompatibility[] = [
  {
    verdict: 'broken',
    macOS: { before: [14, 0] },
    kernel: { from: [6, 3] },
    symptom: 'rosetta error: unhandled auxillary vector type 28',
    why: 'From Linux 6.3 on, the kernel tells programs of restartable sequences (AT_RSEQ_ALIGN), which this Rosetta does not know.',
    fixedIn: '14',
    sources: ['utmapp/UTM#5567', 'abiosoft/colima#926'],
  },
  {
    verdict: 'broken',
    macOS: { from: [15, 0], before: [15, 4] },
    kernel: { from: [6, 11] },
    symptom: VDSO_HASH,
    why: WITHOUT_VDSO_HASH,
    // Reports end with 15.3.2; in which version it was mended is not known.
    fixedIn: '15.4',
    sources: ['utmapp/UTM#6771', 'lima-vm/lima#2891', 'rancher-sandbox/rancher-desktop#8742'],
  },
  {
    verdict: 'unproven',
    // Linux 6.11 came when macOS 15 was out: no report says that 14's Rosetta takes it, and none that it does not.
    macOS: { from: [14, 0], before: [15, 0] },
    kernel: { from: [6, 11] },
    symptom: VDSO_HASH,
    why: WITHOUT_VDSO_HASH,
    fixedIn: '15.4',
    sources: ['utmapp/UTM#6771'],
  },
  {
    verdict: 'broken',
    macOS: { before: [26, 0] },
    kernel: { from: [6, 13] },
    symptom: 'rosetta error: unhandled auxillary vector type 29',
    why: 'From Linux 6.13 on, the kernel tells programs of more processor features (AT_HWCAP3), which this Rosetta does not know.',
    fixedIn: '26',
    sources: ['lima-vm/lima#3592', 'apple/container#1142', 'containers/podman-machine-os#98'],
  },
  {
    verdict: 'broken',
    macOS: {},
    kernel: { otherPagesThan: 4096 },
    symptom: 'the translator does not start',
    why: 'Rosetta works with memory pages of 4 KiB alone.',
    fixedIn: null,
    sources: ['zhaofengli/rosetta-spice'],
  },
];

/** What stands against a pair, the worst first; empty when it works. */
export function incompatibilitiesOf(
  macOS: MacOSVersion,
  kernel: Pick<KernelFacts, 'version' | 'pageBytes'>,
): readonly Incompatibility[] {
  return INCOMPATIBILITIES.filter(
    (row) =>
      isWithin(row.macOS, [macOS.major, macOS.minor]) &&
      isWithin(row.kernel, kernel.version) &&
      row.kernel.otherPagesThan !== kernel.pageBytes,
  ).sort((a, b) => Number(b.verdict === 'broken') - Number(a.verdict === 'broken'));
}

/**
 * The newest of `available` that works under this macOS, else the newest that nobody has told to fail. Throws
 * `E_HOST_UNSUPPORTED` when all are known to fail.
 */
export function chooseKernel(macOS: MacOSVersion, available: readonly KernelFacts[]): KernelSeries {
  const newestFirst = [...available].sort((a, b) => compare(b.version, a.version));
  const against = newestFirst.map((kernel) => ({ kernel, rows: incompatibilitiesOf(macOS, kernel) }));
  const works = against.find(({ rows }) => rows.length === 0);
  const unproven = against.find(({ rows }) => rows.every(({ verdict }) => verdict !== 'broken'));
  const chosen = works ?? unproven;
  if (chosen !== undefined) return chosen.kernel.series;
  const names = newestFirst.map(({ series }) => series);
  throw refusal(macOS, names, against.at(0)?.rows.at(0));
}

/** Debian's arm64 kernels have these pages, and a release does not say another size. */
const USUAL_PAGE_BYTES = 4096;

/**
 * Throws `E_HOST_UNSUPPORTED` when the kernel of a release, such as `6.12.57+deb13-cloud-arm64`, is known to fail. One that
 * does not begin with its version passes: nothing is known of it.
 */
export function checkRelease(macOS: MacOSVersion, release: string): void {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})(?!\d)/.exec(release) ?? [];
  if (major === undefined || minor === undefined) return;
  const version = [Number(major), Number(minor)] as const;
  const [row] = incompatibilitiesOf(macOS, { version, pageBytes: USUAL_PAGE_BYTES });
  if (row?.verdict === 'broken') throw refusal(macOS, [release], row);
}

function refusal(macOS: MacOSVersion, kernels: readonly string[], row: Incompatibility | undefined): RosettaVmError {
  const version = macOSText(macOS);
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `Rosetta of macOS ${version} does not run under Linux ${kernels.join(', ')}.`,
    why:
      row === undefined
        ? 'There is no kernel to choose from.'
        : `${row.why} Programs end with "${row.symptom}" (${row.sources.join(', ')}).`,
    fix: [
      'Let rosetta-vm choose: leave kernel and image out of the settings, or set kernel: auto.',
      ...(row?.fixedIn == null ? [] : [`Or update to macOS ${row.fixedIn} or later.`]),
      'Or set translator: box64.',
    ].join(' '),
    facts: { macOS: version, kernels },
  });
}

function isWithin({ from, before }: Range, version: readonly [number, number]): boolean {
  return (from === undefined || compare(version, from) >= 0) && (before === undefined || compare(version, before) < 0);
}

const compare = (a: readonly [number, number], b: readonly [number, number]): number => a[0] - b[0] || a[1] - b[1];
