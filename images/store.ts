/**
 * Images on disk: `images/<id>/` with its record, and names as symbolic links `images/by-name/<name>`, so that naming
 * an image is one rename. An image may have several names, or none.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../host/errors.ts';
import { syncFolder, writeSynced } from '../host/files.ts';
import type { ImageRecord, ImageStore } from './image.ts';
import { discard } from './workspace.ts';

const ID = /^[0-9a-f]{16}$/;
/** A name must not be mistaken for an id. */
const NAME = /^(?![0-9a-f]{16}$)[a-z0-9][a-z0-9._-]{0,62}$/;
const RECORD_FILE = 'image.json';
const BY_NAME = 'by-name';

/** Names of an image's parts in its folder. */
export const IMAGE_FILES = {
  kernel: 'vmlinuz',
  initialRamdisk: 'initrd',
  rootArchive: 'root.tar',
  translators: 'translators',
  manifest: 'manifest.json',
  sbom: 'sbom.cdx.json',
} as const;

const recordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  id: z.string().regex(ID),
  createdAt: z.int().nonnegative(),
  arch: z.literal('arm64'),
  kernelVersion: z.string().min(1),
  /** Every file of the image but this record, with its size: what is missing or cut shows. */
  files: z.array(z.strictObject({ path: z.string().min(1), bytes: z.int().nonnegative() })),
});

type StoredRecord = z.infer<typeof recordSchema>;

/** Writes the record of a finished image into its folder; `files` are relative to it. */
export async function writeRecord(
  folder: string,
  image: { readonly id: string; readonly kernelVersion: string; readonly files: readonly string[] },
): Promise<void> {
  const record: StoredRecord = {
    schemaVersion: 1,
    id: image.id,
    createdAt: Date.now(),
    arch: 'arm64',
    kernelVersion: image.kernelVersion,
    files: await Promise.all(
      image.files.map(async (file) => ({ path: file, bytes: (await stat(path.join(folder, file))).size })),
    ),
  };
  await writeSynced(path.join(folder, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/** Throws `E_USAGE` when `name` cannot name an image. */
export function checkImageName(name: string): void {
  if (NAME.test(name)) return;
  throw new RosettaVmError('E_USAGE', {
    what: `${JSON.stringify(name)} cannot name an image.`,
    why: 'A name has 1 to 63 of a–z, 0–9, dot, hyphen and underscore, begins with a letter or digit, and is not 16 hexadecimal digits.',
    fix: 'Choose another name.',
    facts: { name },
  });
}

/**
 * The image of a name or an id; no network. Throws `E_IMAGE_NOT_FOUND`, or `E_CORRUPT` when its record is damaged, or
 * a file is missing or has another size than it was written with.
 */
export async function findImage(store: ImageStore, nameOrId: string): Promise<ImageRecord> {
  if (ID.test(nameOrId)) {
    const names = await imageNames(store);
    return await readImage(store, nameOrId, [...names].find(([, id]) => id === nameOrId)?.[0] ?? nameOrId);
  }
  const id = NAME.test(nameOrId) ? (await imageNames(store)).get(nameOrId) : undefined;
  if (id === undefined) throw notFound(nameOrId);
  return await readImage(store, id, nameOrId);
}

/** Every whole image, one row a name, sorted by name; an image without a name goes by its id. Damaged ones are left out. */
export async function listImages(store: ImageStore): Promise<ImageRecord[]> {
  const names = await imageNames(store);
  const ids = (await entriesOf(store.images)).filter((name) => ID.test(name));
  const unnamed = ids.filter((id) => ![...names.values()].includes(id)).map((id) => [id, id] as const);
  const found: ImageRecord[] = [];
  for (const [name, id] of [...names, ...unnamed].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const record = await readImage(store, id, name).catch((error: unknown) => {
      if (error instanceof RosettaVmError) return null;
      throw error;
    });
    if (record !== null) found.push(record);
  }
  return found;
}

/**
 * Deletes the name, and the image unless another name is left; by its id, the image with all its names.
 * A damaged image can be deleted too. Throws `E_IMAGE_NOT_FOUND`.
 */
export async function deleteImage(store: ImageStore, nameOrId: string): Promise<void> {
  const names = await imageNames(store);
  const id = ID.test(nameOrId) ? nameOrId : names.get(nameOrId);
  const exists = id !== undefined && (await entriesOf(store.images)).includes(id);
  if (id === undefined || (!exists && !names.has(nameOrId))) throw notFound(nameOrId);
  const doomed = [...names].filter(([name, target]) => target === id && (name === nameOrId || id === nameOrId));
  for (const [name] of doomed) await rm(path.join(store.images, BY_NAME, name), { force: true });
  const remaining = [...names].filter(([, target]) => target === id).length - doomed.length;
  if (exists && remaining === 0) await discard(path.join(store.images, id));
}

/** Lets `name` mean the image `id`, whatever it meant before. */
export async function nameImage(store: ImageStore, name: string, id: string): Promise<void> {
  const folder = path.join(store.images, BY_NAME);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await imageNames(store)).get(name) === id) return;
  const fresh = path.join(folder, `.${name}-${randomBytes(4).toString('hex')}`);
  await symlink(path.join('..', id), fresh);
  await rename(fresh, path.join(folder, name));
  await syncFolder(folder);
}

async function imageNames(store: ImageStore): Promise<Map<string, string>> {
  const folder = path.join(store.images, BY_NAME);
  const names = new Map<string, string>();
  for (const name of (await entriesOf(folder)).filter((one) => NAME.test(one)).sort()) {
    const id = path.basename(await readlink(path.join(folder, name)).catch(() => ''));
    if (ID.test(id)) names.set(name, id);
  }
  return names;
}

async function readImage(store: ImageStore, id: string, name: string): Promise<ImageRecord> {
  const directory = path.join(store.images, id);
  const stored = await readRecord(directory, name);
  if (stored.id !== id) throw corrupt(name, directory, `its record is about the image ${stored.id}`);
  for (const { path: file, bytes } of stored.files) {
    const found = await stat(path.join(directory, file)).catch(() => null);
    if (found === null) throw corrupt(name, directory, `the file ${file} is missing`);
    if (found.size !== bytes) throw corrupt(name, directory, `the file ${file} has ${found.size} bytes, not ${bytes}`);
  }
  const at = (file: string): string => path.join(directory, file);
  return {
    id,
    name,
    createdAt: stored.createdAt,
    arch: stored.arch,
    kernelVersion: stored.kernelVersion,
    directory,
    kernel: at(IMAGE_FILES.kernel),
    initialRamdisk: at(IMAGE_FILES.initialRamdisk),
    rootArchive: at(IMAGE_FILES.rootArchive),
    translators: at(IMAGE_FILES.translators),
    manifest: at(IMAGE_FILES.manifest),
    sbom: at(IMAGE_FILES.sbom),
    bytes: await occupiedBytes(directory),
  };
}

async function readRecord(directory: string, name: string): Promise<StoredRecord> {
  const text = await readFile(path.join(directory, RECORD_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return null;
  });
  if (text === null) {
    const exists = (await entriesOf(path.dirname(directory))).includes(path.basename(directory));
    throw exists ? corrupt(name, directory, 'its record is missing') : notFound(name);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw corrupt(name, directory, 'its record is no JSON');
  }
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw corrupt(name, directory, `its record is malformed at "${issue?.path.join('.') ?? ''}"`);
}

/** Bytes on disk, holes not counted; stat(2) counts blocks of 512. */
async function occupiedBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const found = await stat(path.join(entry.parentPath, entry.name)).catch(() => null);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}

async function entriesOf(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

function notFound(nameOrId: string): RosettaVmError {
  return new RosettaVmError('E_IMAGE_NOT_FOUND', {
    what: `There is no image ${JSON.stringify(nameOrId)}.`,
    why: 'It was never built here, or has been deleted.',
    fix: 'Build one with `rosetta-vm image build`; `rosetta-vm image list` shows what there is.',
    facts: { image: nameOrId },
  });
}

function corrupt(name: string, directory: string, why: string): RosettaVmError {
  return new RosettaVmError('E_CORRUPT', {
    what: `The image ${name} is damaged.`,
    why: `${directory}: ${why}.`,
    fix: 'Build it again with `rosetta-vm image build`; downloads are kept, so it is quick.',
    facts: { image: name, directory },
  });
}
