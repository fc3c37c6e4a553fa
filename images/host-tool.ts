/** Programs for the host that its own distribution may lack, taken from Debian's packages as they are. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { asRosettaVmError, RosettaVmError } from '../host/errors.ts';
import { writeSynced } from '../host/files.ts';
import { type Architecture, type ArchiveOptions, openArchive } from './debian/archive.ts';
import { compareVersions } from './debian/version.ts';
import type { ImageStore } from './image.ts';
import { TOOL_SUITE } from './packages.ts';
import { fetchPackages } from './plan.ts';
import { unpackPackages } from './root/unpack.ts';
import { publish, withWorkspace } from './workspace.ts';

/** Tools by name, with their program in the package of the same name. They need glibc 2.34 or later and nothing else. */
const TOOLS = { 'vhost-device-vsock': 'usr/bin/vhost-device-vsock' } as const;
export type HostTool = keyof typeof TOOLS;

export interface HostToolOptions extends Omit<ArchiveOptions, 'downloads'> {
  /** `process.arch` of the host; default: this one's. */
  readonly arch?: string | undefined;
}

/** The program, if it was fetched before: the newest version. No network. */
export async function findHostTool(store: ImageStore, name: HostTool): Promise<string | null> {
  const names = await readdir(store.tools).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const versions = names.filter((one) => one.startsWith(`${name}-`)).map((one) => one.slice(name.length + 1));
  const newest = versions.sort(compareVersions).at(-1);
  return newest === undefined ? null : path.join(store.tools, `${name}-${newest}`, name);
}

/**
 * The program, fetched from Debian when it is not there: `<tools>/<name>-<version>/<name>`.
 * Throws `E_HOST_UNSUPPORTED` when Debian builds none for this host, and what a download may throw.
 */
export async function ensureHostTool(
  store: ImageStore,
  name: HostTool,
  options: HostToolOptions = {},
): Promise<string> {
  const present = await findHostTool(store, name);
  if (present !== null) return present;
  const architecture = debianArchitecture(name, options.arch ?? process.arch);
  const archiveOptions = { ...options, downloads: store.downloads };
  try {
    const suite = await (await openArchive(archiveOptions))(TOOL_SUITE);
    const [one] = (await suite.index(architecture)).named(name);
    if (one === undefined) throw absent(name, `${suite.url} has no package ${name} for ${architecture}`);
    const debs = await fetchPackages([one], new Map([[suite.name, suite]]), {
      ...archiveOptions,
      id: 'tool.download',
      title: `Downloading ${name}`,
    });
    const program = TOOLS[name];
    const read = await unpackPackages(debs, {
      tree: null,
      isDropped: () => true,
      isRead: (file) => file === program,
      signal: options.signal,
    });
    const entry = read.get(program);
    if (entry?.type !== 'file') throw absent(name, `${one.name} ${one.version} does not contain ${program}`);
    const target = path.join(store.tools, `${name}-${one.version}`);
    await withWorkspace(store.tools, async (folder) => {
      await writeSynced(path.join(folder, name), entry.content, 0o755);
      await publish(folder, target);
    });
    return path.join(target, name);
  } catch (error) {
    throw asRosettaVmError(options.signal?.aborted === true ? options.signal.reason : error);
  }
}

function debianArchitecture(name: string, arch: string): Architecture {
  if (arch === 'x64') return 'amd64';
  if (arch === 'arm64') return 'arm64';
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `There is no ${name} for this computer.`,
    why: `Its processor is ${arch}; Debian's package is taken for x86_64 and arm64.`,
    fix: `Install ${name} by other means, so that it is on PATH.`,
    facts: { tool: name, arch },
  });
}

function absent(name: string, why: string): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: `${name} could not be fetched from Debian.`,
    why: `${why}.`,
    fix: `Try another mirror with \`--mirror URL\`, or install ${name} by other means.`,
    facts: { tool: name },
  });
}
