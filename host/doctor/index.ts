/** What works on this host, and mending what does not. */
import { platform } from 'node:os';
import { dockerChecks } from '../docker/checks.ts';
import type { Capability } from '../drivers/driver.ts';
import { hostDriver } from '../drivers/index.ts';
import { RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import { ignoreProgress, type ProgressSink, stage } from '../progress.ts';
import { hostChecks } from './checks.ts';
import { installPackages } from './packages.ts';

export interface Diagnosis {
  /** Whether a machine can be started with what is here. */
  readonly usable: boolean;
  readonly capabilities: readonly Capability[];
}

export interface EnsureOptions {
  readonly onProgress?: ProgressSink | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Debian mirror for the tools that are taken from Debian. */
  readonly mirror?: string | undefined;
}

/** Looks at the host: rosetta-vm's own needs, then the driver's. Changes nothing; takes a few seconds at most. */
export async function diagnose(paths: StatePaths): Promise<Diagnosis> {
  const [own, signed, docker, driver] = await Promise.all([
    hostChecks(paths),
    signedHost(paths),
    dockerChecks(paths.run),
    probeDriver(paths),
  ]);
  return {
    usable: driver.usable && [...own, ...signed].every(({ status }) => status !== 'missing'),
    capabilities: [...own, ...docker, ...driver.capabilities, ...signed],
  };
}

/** The program that machines run in, where that is not this node. */
async function signedHost(paths: StatePaths): Promise<readonly Capability[]> {
  if (platform() !== 'darwin') return [];
  const { signedHostChecks } = await import('./mac.ts');
  return await signedHostChecks(paths);
}

/** A host without a driver still gets a diagnosis: that is what `doctor` is for. */
async function probeDriver(paths: StatePaths): Promise<Diagnosis> {
  try {
    return await (await hostDriver(paths)).probe();
  } catch (error) {
    if (!(error instanceof RosettaVmError) || error.code !== 'E_HOST_UNSUPPORTED') throw error;
    const { what, why, fix } = error;
    return { usable: false, capabilities: [{ id: 'driver', status: 'missing', what, why, fix }] };
  }
}

/**
 * Installs what machines need and this host lacks: packages through apt-get, vhost-device-vsock out of Debian into
 * rosetta-vm's own folder; on a Mac the signed copy of node. Does nothing when all is there. Resolves to what was done, a sentence each. Throws
 * `E_HOST_MISSING` when it may not or cannot install, `E_HOST_UNSUPPORTED` when what is left cannot be mended so, and
 * what a download may throw.
 */
export async function ensureHost(paths: StatePaths, options: EnsureOptions = {}): Promise<string[]> {
  const before = await diagnose(paths);
  const missing = before.capabilities.filter(({ status }) => status === 'missing');
  const packages = [...new Set(missing.flatMap((capability) => capability.packages ?? []))];
  const done: string[] = [];
  if (packages.length > 0) done.push(await installPackages(packages, options));
  if (missing.some(({ id }) => id === 'vsock')) done.push(await fetchVsockTool(paths, options));
  if (platform() === 'darwin') {
    const { mendSignedHost } = await import('./mac.ts');
    const { onProgress = ignoreProgress, signal } = options;
    const mended = await mendSignedHost(paths, { onProgress, signal });
    if (mended !== null) done.push(mended);
  }
  if (done.length > 0 || !before.usable) requireUsable(done.length > 0 ? await diagnose(paths) : before);
  return done;
}

async function fetchVsockTool(paths: StatePaths, options: EnsureOptions): Promise<string> {
  const { onProgress = ignoreProgress, signal, mirror } = options;
  // Loaded only when it is needed: the archive client brings an OpenPGP library.
  const { ensureHostTool } = await import('../../images/index.ts');
  const file = await stage(onProgress, 'host.tool', 'Fetching vhost-device-vsock from Debian', () =>
    ensureHostTool(paths, 'vhost-device-vsock', { mirror, signal, onProgress }),
  );
  return `Fetched ${file}.`;
}

/** Throws `E_HOST_UNSUPPORTED` naming everything that keeps machines from starting. */
export function requireUsable({ usable, capabilities }: Diagnosis): void {
  if (usable) return;
  // What nothing can be done about (saving a machine to a file, say) is not what stands in the way.
  const missing = capabilities.filter(({ status, fix }) => status === 'missing' && fix !== '');
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'This host cannot run machines as it is.',
    why: missing.map(({ what, why }) => `${what}: ${why}`).join('\n'),
    fix: missing.map(({ fix }) => fix).join('\n'),
    facts: { missing: missing.map(({ id }) => id) },
  });
}
