/** Contexts of real folders: what is listed, and what arrives when the archive is unpacked again. */
import { execFileSync } from 'node:child_process';
import { chmod, link, lstat, mkdir, readFile, readlink, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { describe, expect, test } from 'vitest';
import { contextFolder, listContext, packContext, readDefinition } from '../../../host/build/context.ts';
import { NO_RULES, parseDockerignore } from '../../../host/build/dockerignore.ts';
import { temporaryFolder } from '../machine/temporary.ts';

async function tree(files: readonly string[]): Promise<string> {
  const root = await temporaryFolder();
  for (const file of files) {
    await mkdir(path.join(root, path.dirname(file)), { recursive: true });
    await writeFile(path.join(root, file), file);
  }
  return root;
}

const paths = async (root: string, ignore = ''): Promise<string[]> =>
  (await listContext(root, parseDockerignore(ignore))).entries.map((entry) => entry.path);

async function roundTrip(root: string): Promise<string> {
  const target = await temporaryFolder();
  const { entries } = await listContext(root, NO_RULES);
  await pipeline(packContext(root, entries), extract({ cwd: target }) as unknown as NodeJS.WritableStream);
  return target;
}

describe('the list of a context', () => {
  test('is in the order of bytes, each folder before what lies in it', async () => {
    expect(await paths(await tree(['b', 'a/z', 'a/B', 'é', 'a-b']))).toEqual(['a', 'a/B', 'a/z', 'a-b', 'b', 'é']);
  });

  test('has an excluded folder only for what is kept in it', async () => {
    const root = await tree(['docs/a/x', 'docs/keep/y', 'node_modules/z', 'main.c']);
    expect(await paths(root, 'node_modules\ndocs\n!docs/keep')).toEqual(['docs', 'docs/keep', 'docs/keep/y', 'main.c']);
  });

  test('leaves sockets, pipes and devices out and names them', async () => {
    const root = await tree(['a']);
    execFileSync('mkfifo', [path.join(root, 'pipe')]);
    const { entries, skipped } = await listContext(root, NO_RULES);
    expect(entries.map((entry) => entry.path)).toEqual(['a']);
    expect(skipped).toEqual(['pipe']);
  });

  test('does not follow links, not even to folders', async () => {
    const root = await tree(['dir/a']);
    await symlink('dir', path.join(root, 'link'));
    await symlink('/nowhere', path.join(root, 'broken'));
    expect(await paths(root)).toEqual(['broken', 'dir', 'dir/a', 'link']);
  });
});

describe('the archive of a context', () => {
  test('keeps content, modes, links and hard links', async () => {
    const root = await tree(['bin/tool', 'data']);
    await chmod(path.join(root, 'bin/tool'), 0o751);
    await chmod(path.join(root, 'data'), 0o600);
    await symlink('../data', path.join(root, 'bin/link'));
    await link(path.join(root, 'data'), path.join(root, 'same'));
    const target = await roundTrip(root);
    expect((await lstat(path.join(target, 'bin/tool'))).mode & 0o7777).toBe(0o751);
    expect((await lstat(path.join(target, 'data'))).mode & 0o7777).toBe(0o600);
    expect(await readlink(path.join(target, 'bin/link'))).toBe('../data');
    expect((await lstat(path.join(target, 'same'))).ino).toBe((await lstat(path.join(target, 'data'))).ino);
  });

  test('takes names that tar’s header cannot hold, and odd ones', async () => {
    const long = `${'long-folder-name/'.repeat(20)}${'f'.repeat(200)}`;
    const odd = ['@argument', '-dash', 'with space', 'c:/drive', 'back\\slash', 'ünï😀'];
    const target = await roundTrip(await tree([long, ...odd]));
    for (const name of [long, ...odd]) expect(await readFile(path.join(target, name), 'utf8')).toBe(name);
  });

  test('is the same for the same files', async () => {
    const root = await tree(['b', 'a/c', 'd']);
    const bytes = async (): Promise<Buffer> => {
      const { entries } = await listContext(root, NO_RULES);
      return await buffer(packContext(root, entries));
    };
    const first = await bytes();
    for (const name of ['b', 'a/c', 'd', 'a']) {
      const { mtime } = await lstat(path.join(root, name));
      await utimes(path.join(root, name), new Date(0), mtime);
    }
    expect((await bytes()).equals(first)).toBe(true);
  });

  test('fails when a file has gone meanwhile', async () => {
    const root = await tree(['a']);
    const pack = packContext(root, [{ path: 'gone', directory: false, bytes: 1 }]);
    await expect(buffer(pack)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the definition', () => {
  test('has the rules of the Dockerfile’s own ignore file before the context’s', async () => {
    const root = await tree(['Dockerfile']);
    await writeFile(path.join(root, '.dockerignore'), 'general');
    expect((await readDefinition(root, path.join(root, 'Dockerfile'))).rules.patterns).toEqual(['general']);
    await writeFile(path.join(root, 'Dockerfile.dockerignore'), 'own');
    const definition = await readDefinition(root, path.join(root, 'Dockerfile'));
    expect(definition.rules.patterns).toEqual(['own']);
    expect(definition.ownIgnoreFile?.toString()).toBe('own');
  });

  test('from standard input goes with the context’s rules', async () => {
    const root = await tree([]);
    await writeFile(path.join(root, '.dockerignore'), 'general');
    const definition = await readDefinition(root, Buffer.from('FROM scratch'));
    expect(definition).toMatchObject({ name: 'Dockerfile', rules: { patterns: ['general'] } });
  });

  test('that is missing, and a context that is none, are told with their paths', async () => {
    const root = await tree(['file']);
    await expect(readDefinition(root, path.join(root, 'Dockerfile'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(contextFolder(path.join(root, 'file'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(contextFolder(path.join(root, 'none'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
