import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as tar from 'tar';
import { describe, expect, it } from 'vitest';
import type { TranslatorShareManifest } from '../../../guest/protocol.ts';
import { sha256Of } from '../../../images/debian/download.ts';
import { buildImage, findImage, isOfThisVersion, listImages } from '../../../images/index.ts';
import type { ImageManifest } from '../../../images/manifest.ts';
import { serveArchive, type TestArchive } from './support/archive.ts';
import { archive, home, options, storeIn, useBuilds } from './support/builds.ts';
import { guestArchive, KERNEL_VERSION, OLD_KERNEL_VERSION } from './support/guest.ts';

useBuilds();

/** Every entry of an archive, read by an independent reader. */
async function entriesOf(
  file: string,
): Promise<Map<string, { type: string; mode: number; link: string; text: string }>> {
  const found = new Map<string, { type: string; mode: number; link: string; text: string }>();
  await tar.list({
    file,
    onReadEntry: (entry) => {
      const chunks: Buffer[] = [];
      entry.on('data', (chunk) => chunks.push(chunk));
      entry.on('end', () =>
        found.set(entry.path.replace(/^\.\/|\/$/g, ''), {
          type: entry.type,
          mode: entry.mode ?? 0,
          link: entry.linkpath ?? '',
          text: Buffer.concat(chunks).toString('latin1'),
        }),
      );
    },
  });
  return found;
}

describe('building an image', () => {
  it('gives the same bytes and the same id from the same archive', async () => {
    const one = await buildImage({ store: storeIn(path.join(home, 'one')), ...options() });
    const two = await buildImage({ store: storeIn(path.join(home, 'two')), ...options() });

    expect(two.id).toBe(one.id);
    for (const part of ['kernel', 'initialRamdisk', 'rootArchive', 'manifest', 'sbom'] as const) {
      expect(await sha256Of(two[part]), part).toBe(await sha256Of(one[part]));
    }
  });

  it('gives another id when a package changes', async () => {
    const changed = await serveArchive(guestArchive({ socat: { version: '2.0-1' } }));
    const one = await buildImage({ store: storeIn(home), ...options() });
    const two = await buildImage({ store: storeIn(home), ...options(changed) });
    await changed.close();

    expect(two.id).not.toBe(one.id);
    expect((await findImage(storeIn(home), 'default')).id).toBe(two.id);
    expect((await listImages(storeIn(home))).map(({ name }) => name).sort()).toEqual([one.id, 'default'].sort());
  });

  it('makes a root with merged /usr, accounts, certificates, alternatives and busybox links', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const root = await entriesOf(image.rootArchive);

    expect(root.get('bin')).toMatchObject({ type: 'SymbolicLink', link: 'usr/bin' });
    expect(root.get('usr/bin/dash')?.text).toBe('dash');
    expect(root.get('usr/bin/sh')).toMatchObject({ link: 'dash' });
    expect(root.get('tmp')?.mode).toBe(0o1777);
    expect(root.get('etc/passwd')?.text).toBe('root:x:0:0:root:/root:/bin/bash\n');
    expect(root.get('etc/shadow')).toMatchObject({ mode: 0o640, text: 'root:*:1:0:99999:7:::\n' });
    expect(root.get('etc/ssl/certs/ca-certificates.crt')?.text).toBe('first\nsecond\n');
    expect(root.get('usr/sbin/iptables')?.link).toBe('iptables-nft');
    expect(root.get('usr/sbin/init')?.link).toBe('../bin/busybox');
    expect(root.has('usr/share/man/man1/dash.1.gz')).toBe(false);
    expect(root.get('usr/share/doc/socat/copyright')?.text).toBe('socat');
  });

  it('takes the chosen kernel modules with what they need, and never vsock_loopback', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const root = await entriesOf(image.rootArchive);
    const modules = `usr/lib/modules/${KERNEL_VERSION}`;

    expect(image.kernelVersion).toBe(KERNEL_VERSION);
    expect(root.get(`${modules}/modules.dep`)?.text).toContain(
      'kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko: kernel/net/vmw_vsock/vsock.ko\n',
    );
    expect(root.get(`${modules}/modules.alias`)?.text).toContain('alias test-fs-binfmt_misc binfmt_misc\n');
    expect([...root.keys()].filter((name) => name.includes('vsock_loopback'))).toEqual([]);
  });

  it('takes the older kernel from its own suite, and keeps the two images apart', async () => {
    const store = storeIn(home);
    const newest = await buildImage({ store, ...options() });
    const older = await buildImage({ store, kernel: '6.1', ...options() });
    const root = await entriesOf(older.rootArchive);
    const manifest = JSON.parse(await readFile(older.manifest, 'utf8')) as ImageManifest;

    expect(older.kernelVersion).toBe(OLD_KERNEL_VERSION);
    expect(older.id).not.toBe(newest.id);
    expect((await findImage(store, 'default')).id).toBe(newest.id);
    expect((await findImage(store, 'default-6.1')).id).toBe(older.id);
    expect(manifest.inputs.packages.find(({ parts }) => parts.includes('kernel'))?.suite).toBe('bookworm');
    expect(root.get(`usr/lib/modules/${OLD_KERNEL_VERSION}/modules.dep`)?.text).toContain(
      'kernel/fs/fuse/virtiofs.ko: ',
    );
  });

  it.each([
    ['6.12' as const, KERNEL_VERSION, ['virtio_blk']],
    ['6.1' as const, OLD_KERNEL_VERSION, ['fuse', 'virtio', 'virtio_blk', 'virtio_console', 'virtio_pci', 'virtiofs']],
  ])('gives the initial RAM disk the modules between the kernel %s and its disk', async (kernel, version, modules) => {
    const image = await buildImage({ store: storeIn(home), kernel, ...options() });
    const cpio = gunzipSync(await readFile(image.initialRamdisk)).toString('latin1');
    const names = [...cpio.matchAll(/lib\/modules\/([^\0]+)\0/g)].map(([, name = '']) => name);

    expect(names).toContain(`${version}/modules.dep`);
    expect(
      names
        .filter((name) => name.endsWith('.ko'))
        .map((name) => path.basename(name, '.ko'))
        .sort(),
    ).toEqual(modules);
    // Each folder stands before what is in it.
    names.forEach((name, index) => {
      if (name.includes('/')) expect(names.slice(0, index)).toContain(path.dirname(name));
    });
  });

  it('makes a translator share that finds its loader and libraries under /dev/rvm alone', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const share = (name: string): Promise<Buffer> => readFile(path.join(image.translators, name));
    const manifest = JSON.parse((await share('manifest.json')).toString()) as TranslatorShareManifest;

    expect((await share('box64')).toString('latin1')).toContain('/dev/rvm/ld.so\0');
    const loader = (await share('ld.so')).toString('latin1');
    expect(loader.split('/dev/rvm/lib///////////\0')).toHaveLength(3);
    expect(loader).toContain('\0/usr/lib/aarch64-linux-gnu/\0');
    expect(loader).not.toContain('\0/etc/ld.so');
    expect(manifest.translators.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'box64 0.4.3-3',
      'qemu 1:10.0-1',
    ]);
    for (const { path: name, sha256 } of manifest.files) {
      expect(await sha256Of(path.join(image.translators, name))).toBe(sha256);
    }
  });

  it('makes an initial RAM disk that begins with the newc magic and holds the script', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const cpio = gunzipSync(await readFile(image.initialRamdisk)).toString('latin1');

    expect(cpio.startsWith('070701')).toBe(true);
    expect(cpio).toContain('rosetta-vm: setup done');
    expect(cpio.length % 4).toBe(0);
  });

  it('names every package with its digest in the manifest and in the CycloneDX document', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const manifest = JSON.parse(await readFile(image.manifest, 'utf8')) as ImageManifest;
    const sbom = JSON.parse(await readFile(image.sbom, 'utf8'));

    expect(manifest.inputs.packages.find(({ name }) => name === 'libc6')).toMatchObject({
      version: '2.41-12',
      suite: 'trixie',
      parts: ['root', 'translators'],
    });
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
    const references = sbom.components.map((one: { 'bom-ref': string }) => one['bom-ref']);
    expect(references).toContain('pkg:deb/debian/qemu-user@1:10.0-1?arch=arm64&distro=trixie');
    expect(new Set(references).size).toBe(references.length);
    for (const file of manifest.files) expect(await sha256Of(path.join(image.directory, file.path))).toBe(file.sha256);
  });

  it('tells the licences of packages whose copyright file says them in a form for machines', async () => {
    const form = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n';
    const files = [{ name: './usr/share/doc/socat/copyright', content: `${form}License: GPL-2 with Foo exception\n` }];
    const told = await serveArchive(guestArchive({ socat: { files } }));
    const image = await buildImage({ store: storeIn(home), ...options(told) });
    await told.close();
    const { components } = JSON.parse(await readFile(image.sbom, 'utf8'));
    const of = (wanted: string) => components.find(({ name }: { name: string }) => name === wanted);

    expect(of('socat').licenses).toEqual([
      { expression: 'LicenseRef-socat-GPL-2-with-Foo-exception', acknowledgement: 'declared' },
    ]);
    expect(of('socat').properties).toContainEqual({
      name: 'rosetta-vm:debian-licenses',
      value: 'GPL-2 with Foo exception',
    });
    expect(of('netbase').licenses).toEqual([{ license: { name: 'NOASSERTION' } }]);
  });

  it('tells an image of this version from one of another recipe, format or kernel, or of an unreadable manifest', async () => {
    const image = await buildImage({ store: storeIn(home), ...options() });
    const manifest = await readFile(image.manifest, 'utf8');
    const { inputs, ...rest } = JSON.parse(manifest) as ImageManifest;
    expect(await isOfThisVersion(image, '6.12')).toBe(true);
    expect(await isOfThisVersion(image, '6.1')).toBe(false);
    const others = [
      { format: inputs.format + 1 },
      { recipe: inputs.recipe.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) },
    ];
    for (const other of others) {
      await writeFile(image.manifest, JSON.stringify({ ...rest, inputs: { ...inputs, ...other } }));
      expect(await isOfThisVersion(image, '6.12')).toBe(false);
    }
    await writeFile(image.manifest, manifest.slice(0, 100));
    expect(await isOfThisVersion(image, '6.12')).toBe(false);
  });

  it('downloads no package again for an image that is there', async () => {
    await buildImage({ store: storeIn(home), ...options() });
    const before = archive.requests.length;
    await buildImage({ store: storeIn(home), name: 'second', ...options() });

    expect(archive.requests.slice(before).filter((one) => one.startsWith('/pool'))).toEqual([]);
  });

  it('lets two builds run at once', async () => {
    const store = storeIn(home);
    const [one, two] = await Promise.all([
      buildImage({ store, name: 'one', ...options() }),
      buildImage({ store, name: 'two', ...options() }),
    ]);

    expect(one?.id).toBe(two?.id);
    expect((await listImages(store)).map(({ name }) => name)).toEqual(['one', 'two']);
    expect((await readdir(store.images)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('removes what a dead build left, and nothing of one that is alive', async () => {
    const store = storeIn(home);
    await mkdir(path.join(store.images, '.making-4194305-0123abcd'), { recursive: true });
    await mkdir(path.join(store.images, `.making-${process.pid}-0123abcd`));
    await buildImage({ store, ...options() });

    expect((await readdir(store.images)).filter((name) => name.startsWith('.'))).toEqual([
      `.making-${process.pid}-0123abcd`,
    ]);
  });

  it('leaves nothing but verified downloads when it is aborted', async () => {
    const store = storeIn(home);
    const abort = new AbortController();
    const building = buildImage({
      store,
      ...options(),
      signal: abort.signal,
      onProgress: (event) => {
        if (event.kind === 'bytes' && event.id === 'image.make') abort.abort();
      },
    });

    await expect(building).rejects.toMatchObject({ code: 'E_ABORTED' });
    expect(await readdir(store.images)).toEqual([]);
    await expect(buildImage({ store, ...options() })).resolves.toMatchObject({ name: 'default' });
  });
});

describe('building an image from what is wrong', () => {
  async function failure(from: TestArchive, other: Partial<ReturnType<typeof options>> = {}): Promise<unknown> {
    const store = storeIn(home);
    try {
      return await buildImage({ store, ...options(from), ...other }).then(
        () => null,
        (error: unknown) => error,
      );
    } finally {
      expect((await readdir(store.images).catch(() => [])).filter((name) => name !== 'by-name')).toEqual([]);
    }
  }

  it('refuses an archive that another key has signed', async () => {
    const other = await serveArchive({});
    expect(await failure(archive, { keys: other.keys })).toMatchObject({
      code: 'E_VERIFY',
      facts: { suite: 'trixie' },
    });
    await other.close();
  });

  it('refuses a package whose bytes are not those of the signed index', async () => {
    const broken = await serveArchive(guestArchive());
    const file = broken.pathOf('socat');
    broken.fault(file, (_, response, body) => response.end(Buffer.alloc(body.length)));
    expect(await failure(broken)).toMatchObject({ code: 'E_VERIFY', facts: { file: 'socat 1.0-1' } });
    await broken.close();
  });

  it.each([
    ['is no ar archive', Buffer.from('not a package, though signed for')],
    ['is cut in its header', Buffer.from('!<arch>\ndebian-binary   0')],
  ])('refuses a signed package that %s', async (_, bytes) => {
    const broken = await serveArchive(guestArchive({ socat: { bytes } }));
    expect(await failure(broken)).toMatchObject({ code: 'E_INVALID', what: 'socat 1.0-1 is not a Debian package.' });
    await broken.close();
  });

  it('names the chain to a package that is missing', async () => {
    const broken = await serveArchive(guestArchive({ nodejs: { depends: 'libnode999 (>= 3)' } }));
    expect(await failure(broken)).toMatchObject({
      code: 'E_NOT_FOUND',
      facts: { chain: ['nodejs', 'libnode999 (>= 3)'] },
    });
    await broken.close();
  });

  it('refuses a box64 whose interpreter is not the expected one', async () => {
    const files = [{ name: './usr/bin/box64', content: 'no ELF file' }];
    const broken = await serveArchive(guestArchive({ box64: { files } }));
    expect(await failure(broken)).toMatchObject({ code: 'E_INVALID', facts: { file: 'box64' } });
    await broken.close();
  });

  it('says that there is no network, with the mirror’s address', async () => {
    const gone = await serveArchive({});
    await gone.close();
    expect(await failure(gone)).toMatchObject({
      code: 'E_NETWORK',
      facts: { url: `${gone.url}/dists/trixie/InRelease` },
    });
  });

  it('refuses a name that could be an id, before it asks anything', async () => {
    const before = archive.requests.length;
    await expect(buildImage({ store: storeIn(home), name: '0123456789abcdef', ...options() })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
    expect(archive.requests.length).toBe(before);
  });
});
