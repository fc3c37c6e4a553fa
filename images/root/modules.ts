/** Kernel modules for the guest: the chosen ones and what they depend on, with the index files that modprobe reads. */
import path from 'node:path/posix';
import { RosettaVmError } from '../../host/errors.ts';
import type { Entry } from '../archive/entry.ts';
import { decompress } from '../debian/xz.ts';
import { elfSection } from '../elf.ts';
import { file } from './tree.ts';

/** Largest module accepted, bytes uncompressed. */
const MAX_MODULE_BYTES = 32 * 1024 * 1024;

interface Module {
  readonly name: string;
  /** Below the modules folder, without the compression's ending, such as `kernel/fs/binfmt_misc.ko`. */
  readonly path: string;
  readonly content: Buffer;
  readonly depends: readonly string[];
  readonly aliases: readonly string[];
}

/**
 * `packaged` holds the files of the kernel's package below `folder` (`usr/lib/modules/<version>`). `wanted` are paths
 * below `kernel/` without an ending; one that ends in a slash stands for everything below it.
 *
 * Modules are stored uncompressed (Debian's are xz), so that the guest need not decompress them at each boot, and the
 * indexes are the textual ones of depmod(8), which busybox reads. Throws `E_NOT_FOUND` when a module does not exist.
 */
export async function kernelModules(
  packaged: ReadonlyMap<string, Entry>,
  folder: string,
  wanted: readonly string[],
): Promise<Entry[]> {
  const byName = new Map<string, string>();
  for (const name of packaged.keys()) {
    if (name.startsWith(`${folder}/kernel/`) && /\.ko(\.xz)?$/.test(name)) byName.set(moduleName(name), name);
  }
  const queue = wanted.flatMap((one) => {
    const prefix = `${folder}/kernel/${one}`;
    const found = [...byName].filter(([, file]) =>
      one.endsWith('/') ? file.startsWith(prefix) : file === `${prefix}.ko` || file === `${prefix}.ko.xz`,
    );
    if (found.length === 0) throw missing(one, 'The image');
    return found.map(([name]) => name);
  });

  const modules = new Map<string, Module>();
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (modules.has(name)) continue;
    const packagedAs = byName.get(name) ?? '';
    const module = await loadModule(name, packagedAs, folder, packaged);
    modules.set(name, module);
    for (const dependency of module.depends) {
      if (!byName.has(dependency)) throw missing(dependency, module.path);
      queue.push(dependency);
    }
  }
  const sorted = [...modules.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const builtIn = packaged.get(`${folder}/modules.builtin`);
  return [
    ...sorted.map((module) => file(`${folder}/${module.path}`, module.content)),
    file(`${folder}/modules.dep`, sorted.map((module) => dependencyLine(module, modules)).join('')),
    file(
      `${folder}/modules.alias`,
      sorted.flatMap(({ name, aliases }) => aliases.map((alias) => `alias ${alias} ${name}\n`)).join(''),
    ),
    ...(builtIn === undefined ? [] : [builtIn]),
  ];
}

/** Module names use `_` wherever their files use `-`. */
const moduleName = (name: string): string =>
  path
    .basename(name)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');

/** modules.dep(5): the module, then all that it needs, each before what itself needs. */
function dependencyLine(module: Module, modules: ReadonlyMap<string, Module>): string {
  const needed: string[] = [];
  const visit = ({ depends }: Module): void => {
    for (const name of depends) {
      const dependency = modules.get(name);
      if (dependency === undefined) continue;
      visit(dependency);
      if (!needed.includes(dependency.path)) needed.push(dependency.path);
    }
  };
  visit(module);
  return `${module.path}:${needed
    .reverse()
    .map((one) => ` ${one}`)
    .join('')}\n`;
}

async function loadModule(
  name: string,
  packagedAs: string,
  folder: string,
  packaged: ReadonlyMap<string, Entry>,
): Promise<Module> {
  const entry = packaged.get(packagedAs);
  if (entry?.type !== 'file') throw missing(name, 'The image');
  const content = packagedAs.endsWith('.xz') ? await unpack(entry.content, packagedAs) : entry.content;
  const information = elfSection(content, '.modinfo', packagedAs) ?? Buffer.alloc(0);
  const values = (key: string): string[] =>
    information
      .toString('latin1')
      .split('\0')
      .filter((line) => line.startsWith(`${key}=`))
      .map((line) => line.slice(key.length + 1));
  return {
    name,
    path: packagedAs.slice(folder.length + 1).replace(/\.xz$/, ''),
    content,
    depends: values('depends')
      .flatMap((list) => list.split(','))
      .filter((one) => one !== '')
      .map((one) => one.replaceAll('-', '_')),
    aliases: values('alias'),
  };
}

async function unpack(compressed: Buffer, what: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of decompress(once(compressed), 'xz')) {
    bytes += chunk.length;
    if (bytes > MAX_MODULE_BYTES) {
      throw new RosettaVmError('E_INVALID', {
        what: `The kernel module ${what} cannot be unpacked.`,
        why: `It has more than ${MAX_MODULE_BYTES} bytes.`,
        fix: 'Choose another mirror with `--mirror URL`; if it stays, report it.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function missing(module: string, neededBy: string): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: `The kernel has no module ${module}.`,
    why: `${neededBy} needs it, and Debian’s kernel package does not contain it.`,
    fix: 'Update rosetta-vm: the list of modules may be too old for this kernel.',
    facts: { module },
  });
}
