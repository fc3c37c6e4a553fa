/** Which packages an image takes, and so which image it will be: known before any of them is downloaded. */
import { type ArchiveOptions, openArchive, type Suite } from './debian/archive.ts';
import { dependencyClosure } from './debian/closure.ts';
import { type DownloadOptions, download, type Wanted } from './debian/download.ts';
import type { DebianPackage } from './debian/packages.ts';
import { KERNELS, type KernelSeries } from './kernels.ts';
import { type ImageInputs, imageId, type ManifestPackage, manifestPackage, type Part } from './manifest.ts';
import * as lists from './packages.ts';
import { FORMAT, recipeDigest } from './recipe.ts';
import type { Deb } from './root/unpack.ts';
import { TRANSLATOR_EXCLUDED, TRANSLATOR_PACKAGES } from './translators.ts';

export interface ImagePlan {
  readonly id: string;
  readonly kernel: KernelSeries;
  readonly inputs: ImageInputs;
  /** Packages by part, in the order in which they are unpacked. */
  readonly parts: Readonly<Record<Part, readonly DebianPackage[]>>;
  /** Suites by name, to download from. */
  readonly suites: ReadonlyMap<string, Suite>;
}

/** Reads the signed indexes. Throws what {@link openArchive} and {@link dependencyClosure} do. */
export async function planImage(kernel: KernelSeries, options: ArchiveOptions): Promise<ImagePlan> {
  const open = await openArchive(options);
  const main = await open(lists.SUITE);
  const tools = await open(lists.TOOL_SUITE);
  const kernels = KERNELS[kernel].suite === lists.SUITE ? main : await open(KERNELS[kernel].suite);
  const indexes = new Map([[lists.SUITE, await main.index('arm64')]]);
  const root = dependencyClosure({
    indexes,
    architecture: 'arm64',
    packages: lists.ROOT_PACKAGES,
    exclude: lists.EXCLUDED_PACKAGES,
  });
  const kernelPackages = dependencyClosure({
    indexes: new Map([[kernels.name, await kernels.index('arm64')]]),
    architecture: 'arm64',
    packages: [lists.KERNEL_PACKAGE],
    exclude: lists.EXCLUDED_PACKAGES,
  });
  const translators = dependencyClosure({
    indexes: new Map([...indexes, [lists.TOOL_SUITE, await tools.index('arm64')]]),
    architecture: 'arm64',
    packages: TRANSLATOR_PACKAGES,
    exclude: TRANSLATOR_EXCLUDED,
    // glibc must be the guest's own: the translators' copy runs beside it, on the same kernel and locale data.
    pins: new Map(TRANSLATOR_PACKAGES.map((name) => [name, name === 'box64' ? lists.TOOL_SUITE : lists.SUITE])),
  });
  const parts = { kernel: kernelPackages, root, translators };
  const inputs: ImageInputs = {
    format: FORMAT,
    date: main.release.date,
    packages: manifestPackages(parts),
    recipe: await recipeDigest(kernel),
  };
  return {
    id: imageId(inputs),
    kernel,
    inputs,
    parts,
    suites: new Map([main, tools, kernels].map((suite) => [suite.name, suite])),
  };
}

/** Brings packages into the cache; answers with them in the same order. */
export async function fetchPackages(
  packages: readonly DebianPackage[],
  suites: ReadonlyMap<string, Suite>,
  options: DownloadOptions,
): Promise<Deb[]> {
  const wanted = packages.flatMap((one): Wanted[] => {
    const suite = suites.get(one.suite);
    return suite === undefined ? [] : [suite.wanted(one)];
  });
  const files = await download(wanted, options);
  return packages.map((one, index) => ({
    name: one.name,
    version: one.version,
    bytes: one.bytes,
    file: files[index] ?? '',
  }));
}

function manifestPackages(parts: ImagePlan['parts']): ManifestPackage[] {
  const rows = new Map<string, ManifestPackage>();
  for (const part of ['kernel', 'root', 'translators'] as const) {
    for (const one of parts[part]) {
      const known = rows.get(one.sha256)?.parts ?? [];
      rows.set(one.sha256, manifestPackage(one, [...known, part]));
    }
  }
  return [...rows.values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1,
  );
}
