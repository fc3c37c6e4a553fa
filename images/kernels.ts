/**
 * The kernels that an image can have, as data: Debian's cloud kernels for arm64. The second one is for Macs whose Rosetta
 * does not run under the first (host/plan/mac-kernels.ts).
 */

/** By the upstream series, the newest first. */
export const KERNEL_SERIES = ['6.12', '6.1'] as const;
export type KernelSeries = (typeof KERNEL_SERIES)[number];
export const NEWEST_KERNEL: KernelSeries = KERNEL_SERIES[0];

/** What of a kernel decides whether a translator runs under it. */
export interface KernelFacts {
  readonly series: KernelSeries;
  readonly version: readonly [major: number, minor: number];
  /** Size of a memory page. */
  readonly pageBytes: number;
}

export interface KernelRecipe extends Omit<KernelFacts, 'series'> {
  /** Debian suite of its package. */
  readonly suite: string;
  /** Modules for the root beside those of every kernel (`MODULES` in packages.ts), in the same form. */
  readonly modules: readonly string[];
  /**
   * Modules for the initial RAM disk: what is not built in and stands between the kernel and its disk, its console and
   * the host's shares. The scripts that load them are overlay/initrd/init and overlay/root/etc/rosetta-vm/boot.
   */
  readonly bootModules: readonly string[];
}

const PCI = 'drivers/virtio/virtio_pci';
const CONSOLE = 'drivers/char/virtio_console';
const DISK = 'drivers/block/virtio_blk';
const SHARES = 'fs/fuse/virtiofs';

/** NVMe, ext4 and pages of 4 KiB are built into both (read in the configurations of 6.12.117 and 6.1.192). */
export const KERNELS: Readonly<Record<KernelSeries, KernelRecipe>> = {
  '6.12': { version: [6, 12], pageBytes: 4096, suite: 'trixie', modules: [], bootModules: [DISK] },
  '6.1': {
    version: [6, 1],
    pageBytes: 4096,
    suite: 'bookworm',
    modules: [PCI, CONSOLE, SHARES],
    bootModules: [PCI, CONSOLE, DISK, SHARES],
  },
};

/** Facts of a series' kernel. */
export const kernelFacts = (series: KernelSeries): KernelFacts => ({
  series,
  version: KERNELS[series].version,
  pageBytes: KERNELS[series].pageBytes,
});

/** The series of a kernel's release, such as `6.12.57+deb13-cloud-arm64`; undefined for one that no recipe makes. */
export function seriesOf(release: string): KernelSeries | undefined {
  return KERNEL_SERIES.find((series) => release.startsWith(`${series}.`));
}

/** Name of the image that is built by itself for a kernel. */
export const defaultImageName = (series: KernelSeries): string =>
  series === NEWEST_KERNEL ? 'default' : `default-${series}`;
