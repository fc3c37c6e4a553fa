/** The project's own part of an image: what this version would make of Debian's packages. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { imageData } from './data.ts';
import type { ImageRecord } from './image.ts';
import { KERNELS, type KernelSeries } from './kernels.ts';
import { digestOf } from './manifest.ts';
import * as lists from './packages.ts';
import { overlayEntries } from './root/overlay.ts';
import { TRANSLATOR_EXCLUDED, TRANSLATOR_PACKAGES } from './translators.ts';

/** Rises when the code makes something else of the same packages and files. */
export const FORMAT = 2;

/** SHA-256 (hex) over its lists and files. */
export async function recipeDigest(kernel: KernelSeries): Promise<string> {
  const overlays = await Promise.all(['overlay/root', 'overlay/initrd'].map((name) => overlayEntries(imageData(name))));
  return digestOf([
    KERNELS[kernel],
    lists.ROOT_PACKAGES,
    [...lists.EXCLUDED_PACKAGES],
    TRANSLATOR_PACKAGES,
    [...TRANSLATOR_EXCLUDED],
    lists.MODULES,
    lists.ALTERNATIVES,
    lists.BUSYBOX_BIN,
    lists.BUSYBOX_SBIN,
    lists.DROPPED_PATHS,
    overlays
      .flat()
      .map((entry) => (entry.type === 'file' ? { ...entry, content: entry.content.toString('base64') } : entry)),
  ]);
}

const manifestSchema = z.object({ inputs: z.object({ format: z.int(), recipe: z.string() }) });

/**
 * Whether this version would make the image of the same lists and files; that Debian has newer packages by now does not
 * count. One whose manifest cannot be read is not of this version.
 */
export async function isOfThisVersion({ manifest }: ImageRecord, kernel: KernelSeries): Promise<boolean> {
  const made = manifestSchema.safeParse(parsed(await readFile(manifest, 'utf8')));
  if (!made.success) return false;
  const { format, recipe } = made.data.inputs;
  return format === FORMAT && recipe === (await recipeDigest(kernel));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
