/** Results on their way to the host: whole or absent, and never outside of the folder that was named. */
import { lstat, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { Header } from 'tar';
import { describe, expect, test } from 'vitest';
import { discard, toFile, toFolder, toStream } from '../../../host/build/output.ts';
import { temporaryFolder } from '../machine/temporary.ts';

type Entry = ConstructorParameters<typeof Header>[0] & { readonly content?: string };

/** A tar archive of entries that no packer would write. */
function archive(entries: readonly Exclude<Entry, Buffer | undefined>[]): Buffer {
  const blocks = entries.flatMap(({ content = '', ...fields }) => {
    const header = new Header({ mode: 0o644, size: content.length, mtime: new Date(0), ...fields });
    header.encode();
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [Buffer.from(header.block ?? Buffer.alloc(512)), body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const unpack = async (folder: string, entries: Parameters<typeof archive>[0]): Promise<void> =>
  await toFolder(folder).receive(Readable.from([archive(entries)]));

describe('a file', () => {
  test('has its name only when the build succeeded', async () => {
    const file = path.join(await temporaryFolder(), 'out.tar');
    const failed = toFile(file);
    await failed.receive(Readable.from([Buffer.from('half')]));
    await failed.finish(false);
    expect(await readdir(path.dirname(file))).toEqual([]);
    const good = toFile(file);
    await good.receive(Readable.from([Buffer.from('whole')]));
    await good.finish(true);
    expect(await readFile(file, 'utf8')).toBe('whole');
    expect(await readdir(path.dirname(file))).toEqual(['out.tar']);
  });
});

describe('a stream', () => {
  test('stays open', async () => {
    const target = new PassThrough();
    await toStream(target).receive(Readable.from([Buffer.from('x')]));
    expect(target.writableEnded).toBe(false);
    expect(target.read()?.toString()).toBe('x');
  });

  test('that nobody wants is read to its end', async () => {
    const source = Readable.from([Buffer.alloc(1024 * 1024)]);
    await discard.receive(source);
    expect(source.readableEnded).toBe(true);
  });
});

describe('a folder', () => {
  test('gets files, folders and links as they are in the image, over what is there', async () => {
    const folder = path.join(await temporaryFolder(), 'new');
    await unpack(folder, [
      { path: 'bin/', type: 'Directory', mode: 0o755 },
      { path: 'bin/tool', type: 'File', mode: 0o755, content: 'tool' },
      { path: 'bin/sh', type: 'SymbolicLink', linkpath: '/usr/bin/dash' },
      { path: 'up', type: 'SymbolicLink', linkpath: '../../x' },
    ]);
    await unpack(folder, [{ path: 'bin/tool', type: 'File', content: 'newer' }]);
    expect(await readFile(path.join(folder, 'bin/tool'), 'utf8')).toBe('newer');
    expect(await readlink(path.join(folder, 'bin/sh'))).toBe('/usr/bin/dash');
    expect(await readlink(path.join(folder, 'up'))).toBe('../../x');
  });

  test.each([
    ['a name with ..', [{ path: '../escaped', type: 'File', content: 'x' }]],
    ['a hard link outward', [{ path: 'in', type: 'Link', linkpath: '../../etc/passwd' }]],
    ['a link named outward', [{ path: '../escaped', type: 'SymbolicLink', linkpath: 'x' }]],
  ] as const)('is not left by %s', async (_what, entries) => {
    const parent = await temporaryFolder();
    await expect(unpack(path.join(parent, 'out'), entries)).rejects.toMatchObject({ code: 'E_INVALID' });
    expect(await readdir(parent)).toEqual(['out']);
  });

  test('is not left through a link, neither the archive’s nor one that is there', async () => {
    const parent = await temporaryFolder();
    const outside = await temporaryFolder();
    const folder = path.join(parent, 'out');
    await unpack(folder, [
      { path: 'door', type: 'SymbolicLink', linkpath: outside },
      { path: 'door/file', type: 'File', content: 'x' },
    ]).catch(() => {});
    expect(await readdir(outside)).toEqual([]);
    await symlink(outside, path.join(folder, 'old'));
    await unpack(folder, [{ path: 'old/link', type: 'SymbolicLink', linkpath: 'x' }]).catch(() => {});
    expect(await readdir(outside)).toEqual([]);
  });

  test('an absolute name lands inside', async () => {
    const folder = path.join(await temporaryFolder(), 'out');
    await unpack(folder, [{ path: '/etc/file', type: 'File', content: 'x' }]);
    expect((await lstat(path.join(folder, 'etc/file'))).isFile()).toBe(true);
  });

  test('nothing at all, as after a failed build, makes no folder', async () => {
    const folder = path.join(await temporaryFolder(), 'out');
    await toFolder(folder).receive(Readable.from([]));
    await expect(lstat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('bytes that are no archive are refused', async () => {
    const folder = path.join(await temporaryFolder(), 'out');
    const bytes = Readable.from([Buffer.alloc(4096, 'no tar ')]);
    await expect(toFolder(folder).receive(bytes)).rejects.toMatchObject({ code: 'E_INVALID' });
  });
});

test('a folder that cannot be made says why', async () => {
  const file = path.join(await temporaryFolder(), 'file');
  await writeFile(file, '');
  await expect(unpack(path.join(file, 'out'), [{ path: 'a', type: 'File', content: 'x' }])).rejects.toThrow(/ENOTDIR/);
});
