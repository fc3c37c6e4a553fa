/** Brings what a benchmark works on into its layer of the tree. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, Pack } from 'tar';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import { packageFile } from '../../host/package-root.ts';
import type { Architecture } from '../../images/debian/archive.ts';
import { sha256Of } from '../../images/debian/download.ts';
import { decompress } from '../../images/debian/xz.ts';
import type { Input } from '../suites/schema.ts';
import { type ArchiveFile, type FetchOptions, fetchDebs, fetchSource } from './archive-files.ts';
import type { Layer } from './guest-layer.ts';

export interface InputOptions extends FetchOptions {
  readonly agent: AgentClient;
  readonly layer: Layer;
  readonly architecture: Architecture;
}

/** Some megabytes through an emulated machine. */
const COPY_LIMIT_MS = 10 * 60_000;
/** Of every file, so that no product depends on when the sources were checked out. */
const MODIFIED = new Date('2026-01-01T00:00:00Z');
const CHUNK_BYTES = 1024 * 1024;
/** Of sources when unpacked: what is measured is small. */
const MAX_SOURCE_BYTES = 2 * 1024 ** 3;

/** Throws what fetching, copying and a full disk in the guest throw. */
export async function bringInput(input: Input, options: InputOptions): Promise<void> {
  if ('example' in input) await bringExample(input.example, input.to, options);
  else if ('source' in input) await bringSource(input.source, input.to, options);
  else await bringPackages(input.packages, input.to, options);
}

/** A single file gets the name that `to` says; a folder's content goes into it. */
async function bringExample(example: string, to: string, options: InputOptions): Promise<void> {
  const source = packageFile(`examples/${example}`);
  if ((await stat(source)).isDirectory()) {
    await sendFolder({ cwd: source, mtime: MODIFIED, filter: (name) => !isBuilt(name) }, to, options);
  } else {
    await write(to, createReadStream(source), options);
  }
}

/** What work in the checkout has left (the examples' .gitignore): it would save what is measured. */
const BUILT: ReadonlySet<string> = new Set([
  ...['config.h', 'config.mk', 'config.log', 'wordtally', 'unit-test'],
  ...['node_modules', 'package-lock.json', 'vendor'],
]);

/** Whether a file or folder of an example is made by its own build. */
export const isBuilt = (name: string): boolean => name.endsWith('.o') || BUILT.has(path.basename(name));

/**
 * Unpacked here and packed again: some upstream archives, GNU hello's among them, are in the tar format of Unix V7, which
 * the guest's busybox does not take. Times stay, for make.
 */
async function bringSource(name: string, to: string, options: InputOptions): Promise<void> {
  const file = await fetchSource(name, options);
  const folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-source-'));
  try {
    const compression = (await isXz(file)) ? 'xz' : 'gzip';
    const plain = Readable.from(bounded(decompress(read(file.path), compression), name), { objectMode: false });
    await pipeline(plain, extract({ cwd: folder, strip: 1, preserveOwner: false }), { signal: options.signal });
    await sendFolder({ cwd: folder }, to, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function* bounded(content: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > MAX_SOURCE_BYTES) throw sourceTooLarge(name);
    yield chunk;
  }
}

/** By its first bytes (xz-file-format.txt, 2.1.1.1): the download's name is its digest. */
async function isXz({ path: file }: ArchiveFile): Promise<boolean> {
  for await (const chunk of createReadStream(file, { end: 5 })) {
    return (chunk as Buffer).equals(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]));
  }
  return false;
}

async function bringPackages(names: readonly string[], to: string, options: InputOptions): Promise<void> {
  const files = await fetchDebs(names, options.architecture, options);
  for (const file of files) await write(`${to}/${nameOf(file)}`, read(file.path), options);
  await write(`${to}/Packages`, once(Buffer.from(await packagesIndex(files))), options);
}

/** Without the version, whose “:” and “~” only get in the way. */
const nameOf = ({ package: one, name }: ArchiveFile): string => `${one?.name ?? name}.deb`;

/**
 * An index for apt (deb822(5), wiki.debian.org/DebianRepository/Format). Without Depends: what is needed is in the tree,
 * but dpkg's records do not know it.
 */
async function packagesIndex(files: readonly ArchiveFile[]): Promise<string> {
  const stanzas = await Promise.all(
    files.map(async (file) =>
      [
        `Package: ${file.package?.name}`,
        `Version: ${file.package?.version}`,
        `Architecture: ${file.package?.architecture}`,
        `Filename: ./${nameOf(file)}`,
        `Size: ${file.bytes}`,
        `SHA256: ${await sha256Of(file.path)}`,
      ].join('\n'),
    ),
  );
  return stanzas.map((stanza) => `${stanza}\n\n`).join('');
}

const read = (file: string): AsyncIterable<Buffer> => createReadStream(file, { highWaterMark: CHUNK_BYTES });

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function write(to: string, content: AsyncIterable<Buffer>, options: InputOptions): Promise<void> {
  await run('mkdir -p "$(dirname "$1")" && cat > "$1"', to, content, options);
}

type PackOptions = NonNullable<ConstructorParameters<typeof Pack>[0]>;

async function sendFolder(what: PackOptions, to: string, options: InputOptions): Promise<void> {
  // Owners, and times but that of the change, are this host's alone.
  const pack = new Pack({ ...what, portable: true });
  pack.add('.');
  pack.end();
  await run('mkdir -p "$1" && cd "$1" && tar -x -f -', to, pack as unknown as AsyncIterable<Buffer>, options);
}

/** By the guest's own native tools, into the layer's folder itself: nothing has mounted it yet. */
async function run(
  script: string,
  to: string,
  input: AsyncIterable<Buffer>,
  { agent, layer, signal }: InputOptions,
): Promise<void> {
  const argv = ['/bin/sh', '-c', script, 'bring', `${layer.setup}${to}`];
  await runInGuest(agent, { argv }, { limitMs: COPY_LIMIT_MS, signal, input });
}

const sourceTooLarge = (name: string): RosettaVmError =>
  new RosettaVmError('E_VERIFY', {
    what: `The sources of ${name} are too large.`,
    why: `Unpacked they are more than ${MAX_SOURCE_BYTES} bytes.`,
    fix: 'Name another package in the suite’s file.',
    facts: { package: name },
  });
