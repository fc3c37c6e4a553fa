/** How an image is made. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { asRosettaVmError, RosettaVmError } from '../host/errors.ts';
import { writeSynced } from '../host/files.ts';
import { ignoreProgress, stage } from '../host/progress.ts';
import type { Entry } from './archive/entry.ts';
import { writeTar } from './archive/tar-write.ts';
import { imageData } from './data.ts';
import type { ArchiveOptions } from './debian/archive.ts';
import { sha256Of } from './debian/download.ts';
import type { ImageRecord, ImageStore } from './image.ts';
import { INITRD_SOURCES, makeInitrd } from './initrd.ts';
import { defaultImageName, KERNELS, type KernelRecipe, type KernelSeries, NEWEST_KERNEL } from './kernels.ts';
import { isCopyright, type PackageLicenses, packageLicenses } from './licenses.ts';
import type { ImageManifest, Part } from './manifest.ts';
import { isDropped, MODULES } from './packages.ts';
import { fetchPackages, type ImagePlan, planImage } from './plan.ts';
import { kernelModules } from './root/modules.ts';
import { overlayEntries } from './root/overlay.ts';
import { applianceFiles, finishRoot, isReadToFinish, rootSkeleton } from './root/system.ts';
import { rootTree } from './root/tree.ts';
import { contentOf, type Deb, isFileOrVersion, unpackPackages } from './root/unpack.ts';
import { makeSbom } from './sbom.ts';
import * as store from './store.ts';
import { TRANSLATOR_SOURCES, writeTranslators } from './translators.ts';
import { discard, publish, withWorkspace } from './workspace.ts';

export interface BuildImageOptions extends Omit<ArchiveOptions, 'downloads'> {
  readonly store: ImageStore;
  /** Default: the newest. */
  readonly kernel?: KernelSeries | undefined;
  /** Default `default`, and for another kernel than the newest `default-<its series>`. */
  readonly name?: string | undefined;
}

/**
 * Builds the image that Debian's archive and this version's recipe give today, and lets `name` mean it. When it is
 * there already, nothing but the signed indexes is looked at. A failure or an abort leaves only verified downloads.
 * Throws `E_USAGE`, `E_NETWORK`, `E_VERIFY`, `E_NOT_FOUND`, `E_INVALID`, `E_DISK_FULL` or `E_ABORTED`.
 */
export async function buildImage(options: BuildImageOptions): Promise<ImageRecord> {
  const { kernel = NEWEST_KERNEL, onProgress = ignoreProgress } = options;
  const { name = defaultImageName(kernel) } = options;
  store.checkImageName(name);
  try {
    const plan = await stage(onProgress, 'image.plan', 'Choosing packages', () =>
      planImage(kernel, { ...options, downloads: options.store.downloads }),
    );
    if (!(await isWhole(options.store, plan.id))) await makeImage(plan, options);
    await store.nameImage(options.store, name, plan.id);
    return await store.findImage(options.store, name);
  } catch (error) {
    throw asRosettaVmError(options.signal?.aborted === true ? options.signal.reason : error);
  }
}

/** Whether the image is there; a damaged one is removed. */
async function isWhole(images: ImageStore, id: string): Promise<boolean> {
  try {
    await store.findImage(images, id);
    return true;
  } catch (error) {
    if (error instanceof RosettaVmError && error.code === 'E_CORRUPT') await discard(path.join(images.images, id));
    else if (!(error instanceof RosettaVmError) || error.code !== 'E_IMAGE_NOT_FOUND') throw error;
    return false;
  }
}

async function makeImage(plan: ImagePlan, options: BuildImageOptions): Promise<void> {
  const { onProgress = ignoreProgress, signal } = options;
  const { kernel, root, translators } = plan.parts;
  const debs = await fetchPackages([...kernel, ...root, ...translators], plan.suites, {
    ...options,
    downloads: options.store.downloads,
    id: 'image.download',
    title: 'Downloading Debian packages',
  });
  const from = kernel.length + root.length;
  const parts: Record<Part, Deb[]> = {
    kernel: debs.slice(0, kernel.length),
    root: debs.slice(kernel.length, from),
    translators: debs.slice(from),
  };
  await withWorkspace(options.store.images, async (folder) => {
    const totalBytes = debs.reduce((sum, { bytes }) => sum + bytes, 0);
    let doneBytes = 0;
    const onPackage = ({ bytes }: Deb): void => {
      doneBytes += bytes;
      onProgress({ kind: 'bytes', id: 'image.make', doneBytes, totalBytes });
    };
    await stage(onProgress, 'image.make', 'Making the image', () =>
      writeImage(folder, plan, parts, { signal, onPackage }),
    );
    signal?.throwIfAborted();
    await publish(folder, path.join(options.store.images, plan.id));
  });
}

interface Making {
  readonly signal: AbortSignal | undefined;
  readonly onPackage: (deb: Deb) => void;
}

/** Writes every file of the image into `folder`. */
async function writeImage(
  folder: string,
  plan: ImagePlan,
  debs: Readonly<Record<Part, readonly Deb[]>>,
  making: Making,
): Promise<void> {
  const { IMAGE_FILES } = store;
  const at = (name: string): string => path.join(folder, name);
  const kernel = await readKernel(debs.kernel, KERNELS[plan.kernel], making);
  await writeSynced(at(IMAGE_FILES.kernel), kernel.image);

  const read = await writeRoot(at(IMAGE_FILES.rootArchive), plan.inputs.date, debs.root, kernel.modules, making);
  const init = await readFile(imageData('overlay/initrd/init'));
  await writeSynced(at(IMAGE_FILES.initialRamdisk), await makeInitrd(required(read), init, kernel.bootModules));

  const sources = await unpackPackages(debs.translators, {
    ...making,
    tree: null,
    isDropped: () => true,
    isRead: (name, bytes) => TRANSLATOR_SOURCES.includes(name) || isCopyright(name, bytes),
  });
  const share = await writeTranslators(at(IMAGE_FILES.translators), required(sources), {
    box64: versionOf(debs.translators, 'box64'),
    qemu: versionOf(debs.translators, 'qemu-user'),
  });

  const ofShare = [...share.files.map((file) => file.path), 'manifest.json'];
  const files = await Promise.all(
    [
      IMAGE_FILES.kernel,
      IMAGE_FILES.initialRamdisk,
      IMAGE_FILES.rootArchive,
      ...ofShare.map((name) => `${IMAGE_FILES.translators}/${name}`),
    ].map(async (name) => ({ path: name, sha256: await sha256Of(at(name)), bytes: (await stat(at(name))).size })),
  );
  const manifest: ImageManifest = {
    schemaVersion: 1,
    id: plan.id,
    kernelVersion: kernel.version,
    inputs: plan.inputs,
    files,
  };
  await writeSynced(at(IMAGE_FILES.manifest), json(manifest));
  const licenses = new Map([
    ...kernel.licenses,
    ...packageLicenses(debs.root, read),
    ...packageLicenses(debs.translators, sources),
  ]);
  await writeSynced(at(IMAGE_FILES.sbom), json(makeSbom(manifest, licenses)));
  await store.writeRecord(folder, {
    id: plan.id,
    kernelVersion: kernel.version,
    files: [...files.map((file) => file.path), IMAGE_FILES.manifest, IMAGE_FILES.sbom],
  });
}

interface Kernel {
  /** Such as `6.12.57+deb13-cloud-arm64`. */
  readonly version: string;
  readonly image: Buffer;
  readonly modules: readonly Entry[];
  /** Those of the initial RAM disk. */
  readonly bootModules: readonly Entry[];
  readonly licenses: PackageLicenses;
}

const KERNEL_IMAGE = /^boot\/vmlinuz-(.+)$/;
/** bookworm's packages have `/lib` as it was before /usr was merged. */
const MODULES_FOLDER = /^(usr\/)?lib\/modules\//;

async function readKernel(debs: readonly Deb[], recipe: KernelRecipe, making: Making): Promise<Kernel> {
  const unpacked = await unpackPackages(debs, {
    ...making,
    tree: null,
    isDropped: () => true,
    isRead: (name, bytes) => KERNEL_IMAGE.test(name) || MODULES_FOLDER.test(name) || isCopyright(name, bytes),
  });
  const read = new Map(
    [...unpacked].map(([name, entry]) => {
      const path = name.replace(MODULES_FOLDER, 'usr/lib/modules/');
      return [path, { ...entry, path }] as const;
    }),
  );
  const name = [...read.keys()].find((one) => KERNEL_IMAGE.test(one)) ?? '';
  const version = KERNEL_IMAGE.exec(name)?.[1] ?? '';
  const image = required(read)(name);
  // The kernel's own header (Documentation/arch/arm64/booting.rst): neither QEMU nor Virtualization.framework boots a
  // compressed or EFI-wrapped kernel by this path.
  if (image.toString('latin1', 56, 60) !== 'ARM\x64') {
    throw new RosettaVmError('E_INVALID', {
      what: `The kernel ${version} cannot be booted.`,
      why: 'It is not a plain arm64 Image.',
      fix: 'Update rosetta-vm, or report it.',
    });
  }
  const modulesOf = (wanted: readonly string[]): Promise<Entry[]> =>
    kernelModules(read, `usr/lib/modules/${version}`, wanted);
  return {
    version,
    image,
    modules: await modulesOf([...MODULES, ...recipe.modules]),
    bootModules: await modulesOf(recipe.bootModules),
    licenses: packageLicenses(debs, read),
  };
}

/** Writes the root archive; answers the packages' files that are of further use. */
async function writeRoot(
  file: string,
  date: number,
  debs: readonly Deb[],
  modules: readonly Entry[],
  making: Making,
): Promise<ReadonlyMap<string, Entry>> {
  const tar = await writeTar(file, date);
  try {
    const tree = await rootTree(tar, ['bin', 'lib', 'sbin']);
    // Before the packages, because the first of two files of the same path wins.
    const own = await overlayEntries(imageData('overlay/root'));
    for (const entry of [...own, ...rootSkeleton(), ...applianceFiles(), ...modules]) await tree.add(entry);
    const read = await unpackPackages(debs, {
      ...making,
      tree,
      isDropped,
      isRead: (name, bytes) =>
        isReadToFinish(name) ||
        INITRD_SOURCES.some((source) => isFileOrVersion(source, name)) ||
        isCopyright(name, bytes),
    });
    await finishRoot(tree, read);
    await tar.finish();
    return read;
  } catch (error) {
    await tar.abandon();
    throw error;
  }
}

/** Reads files that must be among the packages'. Throws `E_NOT_FOUND`. */
function required(read: ReadonlyMap<string, Entry>): (name: string) => Buffer {
  return (name) => {
    const content = contentOf(read, name);
    if (content !== null) return content;
    throw new RosettaVmError('E_NOT_FOUND', {
      what: 'The image cannot be made.',
      why: `None of its packages has the file ${name === '' ? 'of the kernel' : name}.`,
      fix: 'Debian’s packages may have changed: update rosetta-vm, or report it.',
      facts: { file: name },
    });
  };
}

const versionOf = (debs: readonly Deb[], name: string): string => debs.find((deb) => deb.name === name)?.version ?? '';

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
