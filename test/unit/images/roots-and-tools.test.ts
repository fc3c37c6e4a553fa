import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tar from 'tar';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildBaseRoot, ensureHostTool, findHostTool, type ImageStore } from '../../../images/index.ts';
import { type ArchiveSpec, serveArchive, type TestArchive } from './support/archive.ts';
import { guestArchive } from './support/guest.ts';

const AMD64: ArchiveSpec = {
  trixie: {
    amd64: [
      { name: 'base-files', depends: 'awk', files: [{ name: './usr/lib/os-release', content: 'NAME=Debian\n' }] },
      { name: 'base-passwd' },
      { name: 'libc-bin' },
      { name: 'mawk', provides: 'awk', files: [{ name: './usr/bin/mawk', content: 'mawk' }] },
      {
        name: 'perl-base',
        files: [
          { name: './usr/bin/perl', content: 'perl' },
          { name: './usr/bin/perl5.40', linkTarget: './usr/bin/perl', flag: '1' },
          { name: './lib64/ld.so', content: 'loader' },
          { name: './usr/share/man/man1/perl.1.gz', content: 'manual' },
        ],
      },
    ],
  },
  sid: { amd64: guestArchive().sid?.amd64 ?? [], arm64: [] },
};

let home: string;
let store: ImageStore;
let archive: TestArchive;

beforeAll(async () => {
  archive = await serveArchive(AMD64);
});
afterAll(() => archive.close());
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'rvm-root-'));
  store = { images: path.join(home, 'i'), downloads: path.join(home, 'd'), tools: path.join(home, 't') };
});
afterEach(() => rm(home, { recursive: true, force: true }));

const source = () => ({
  mirror: archive.url,
  keys: archive.keys,
  hostRoot: home,
  now: Math.max(Date.now(), Date.parse('2026-11-21T10:00:00Z')) / 1000,
});
const request = () =>
  ({ store, architecture: 'amd64', suite: 'trixie', packages: ['perl-base'], ...source() }) as const;

describe('an amd64 root', () => {
  it('holds the packages with merged /usr, hard links and alternatives, without manuals', async () => {
    const { archive: file, packages } = await buildBaseRoot(request());
    const entries = new Map<string, string>();
    await tar.list({
      file,
      onReadEntry: (entry) => void entries.set(entry.path, `${entry.type} ${entry.linkpath ?? ''}`),
    });

    expect(packages.map(({ name }) => name)).toEqual(['base-files', 'base-passwd', 'libc-bin', 'mawk', 'perl-base']);
    expect(entries.get('./lib64')).toBe('SymbolicLink usr/lib64');
    expect(entries.has('./usr/lib64/ld.so')).toBe(true);
    expect(entries.get('./usr/bin/perl5.40')).toBe('Link ./usr/bin/perl');
    expect(entries.get('./usr/bin/awk')).toBe('SymbolicLink mawk');
    expect([...entries.keys()].filter((name) => name.includes('/man/'))).toEqual([]);
  });

  it('is the same bytes in another store', async () => {
    const one = await buildBaseRoot(request());
    const two = await buildBaseRoot({ ...request(), store: { ...store, downloads: path.join(home, 'other') } });

    expect(two.sha256).toBe(one.sha256);
    expect((await stat(two.archive)).size).toBe(two.bytes);
  });

  it('is answered without network the second time, whatever the order of the packages', async () => {
    const one = await buildBaseRoot({ ...request(), packages: ['perl-base', 'mawk'] });
    const before = archive.requests.length;
    const two = await buildBaseRoot({ ...request(), packages: ['mawk', 'perl-base'] });

    expect(two).toEqual(one);
    expect(archive.requests.length).toBe(before);
  });

  it('is built again when its archive has been cut', async () => {
    const { archive: file, sha256 } = await buildBaseRoot(request());
    await writeFile(file, 'cut');

    expect((await buildBaseRoot(request())).sha256).toBe(sha256);
    expect((await stat(file)).size).toBeGreaterThan(512);
  });

  it('cannot be had with a package that does not exist', async () => {
    await expect(buildBaseRoot({ ...request(), packages: ['no-such-package'] })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      exitStatus: 3,
    });
  });
});

describe('a host tool', () => {
  it('is fetched once, and found without network from then on', async () => {
    expect(await findHostTool(store, 'vhost-device-vsock')).toBeNull();
    const program = await ensureHostTool(store, 'vhost-device-vsock', { ...source(), arch: 'x64' });
    const before = archive.requests.length;

    expect(await readFile(program, 'utf8')).toBe('program');
    expect((await stat(program)).mode & 0o777).toBe(0o755);
    expect(program).toBe(path.join(store.tools, 'vhost-device-vsock-0.3.0-2', 'vhost-device-vsock'));
    expect(await ensureHostTool(store, 'vhost-device-vsock', source())).toBe(program);
    expect(await findHostTool(store, 'vhost-device-vsock')).toBe(program);
    expect(archive.requests.length).toBe(before);
  });

  it('is not to be had for a processor that Debian’s package does not serve', async () => {
    await expect(ensureHostTool(store, 'vhost-device-vsock', { ...source(), arch: 's390x' })).rejects.toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      exitStatus: 5,
    });
  });

  it('says so when the archive does not have it', async () => {
    await expect(ensureHostTool(store, 'vhost-device-vsock', { ...source(), arch: 'arm64' })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
    });
  });
});
