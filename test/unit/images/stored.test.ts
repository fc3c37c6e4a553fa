/** Images on disk: found, listed, damaged and deleted. */
import { rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildImage, deleteImage, findImage, listImages } from '../../../images/index.ts';
import { archive, home, options, storeIn, useBuilds } from './support/builds.ts';

useBuilds();

describe('images on disk', () => {
  it('are found by name and by id without network', async () => {
    const store = storeIn(home);
    const built = await buildImage({ store, ...options() });
    const before = archive.requests.length;

    expect(await findImage(store, 'default')).toEqual(built);
    expect(await findImage(store, built.id)).toEqual(built);
    expect(archive.requests.length).toBe(before);
  });

  it.each(['default', '0123456789abcdef', '../escape', ''])('are not found when there is none: %j', async (name) => {
    await expect(findImage(storeIn(home), name)).rejects.toMatchObject({ code: 'E_IMAGE_NOT_FOUND', exitStatus: 3 });
    await expect(deleteImage(storeIn(home), name)).rejects.toMatchObject({ code: 'E_IMAGE_NOT_FOUND' });
    expect(await listImages(storeIn(home))).toEqual([]);
  });

  it.each([
    ['a file is missing', (directory: string) => rm(path.join(directory, 'root.tar'))],
    ['a file is cut', (directory: string) => truncate(path.join(directory, 'translators/box64'), 3)],
    ['the record is missing', (directory: string) => rm(path.join(directory, 'image.json'))],
    ['the record is no JSON', (directory: string) => writeFile(path.join(directory, 'image.json'), '{')],
    ['the record is another', (directory: string) => writeFile(path.join(directory, 'image.json'), '{"id":"x"}')],
  ])('are damaged when %s, and are built again', async (_, damage) => {
    const store = storeIn(home);
    const { directory } = await buildImage({ store, ...options() });
    await damage(directory);

    await expect(findImage(store, 'default')).rejects.toMatchObject({ code: 'E_CORRUPT', facts: { directory } });
    expect(await listImages(store)).toEqual([]);
    await expect(buildImage({ store, ...options() })).resolves.toMatchObject({ directory });
  });

  it('stay while another name is left, and go with the last one', async () => {
    const store = storeIn(home);
    await buildImage({ store, name: 'one', ...options() });
    const { id } = await buildImage({ store, name: 'two', ...options() });

    await deleteImage(store, 'one');
    expect((await listImages(store)).map(({ name }) => name)).toEqual(['two']);
    await deleteImage(store, 'two');
    expect(await listImages(store)).toEqual([]);
    await expect(findImage(store, id)).rejects.toMatchObject({ code: 'E_IMAGE_NOT_FOUND' });
  });
});
