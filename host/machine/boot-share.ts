/** The read-only share that brings a boot its agent and its configuration. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BootConfig } from '../../guest/protocol.ts';
import { RosettaVmError } from '../errors.ts';
import { readBounded, writeWhole } from '../files.ts';
import { packageFile } from '../package-root.ts';
import type { MachinePlan } from '../plan/plan.ts';
import { version } from '../version.ts';

/** A token is 256 random bits, new for every boot. */
const TOKEN_BYTES = 32;

const MAX_CONFIG_BYTES = 64 * 1024;

/** The guest's own programs, in the share's `bin`: what starts x86_64 programs, and what stands before runc. */
const PROGRAMS = ['router', 'runc'];

/** Writes the agent of this version, its programs and a new configuration into `folder`. */
export async function writeBootShare(folder: string, plan: MachinePlan): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const data = plan.disks.find(({ role }) => role === 'data');
  const { name, tag, rosettaSocketPath, preserveArgv0, router } = plan.translator;
  const config: BootConfig = {
    schemaVersion: 1,
    token: randomBytes(TOKEN_BYTES).toString('hex'),
    machine: plan.name,
    hostVersion: version,
    dataDevice: data?.guestDevice ?? '',
    ...(data === undefined || data.attachment.kind === 'file' ? {} : { externalData: { leastBytes: data.sizeBytes } }),
    translator: {
      name,
      tag,
      ...(rosettaSocketPath === undefined ? {} : { socketPath: rosettaSocketPath }),
      ...(preserveArgv0 === undefined ? {} : { preserveArgv0 }),
      ...(router === undefined ? {} : { router }),
    },
    cache: plan.cache,
    engine: plan.engine,
    shares: plan.shares.flatMap(({ tag, mountPoint, readOnly }) =>
      mountPoint === null ? [] : [{ tag, mountPoint, readOnly }],
    ),
  };
  await writeWhole(path.join(folder, 'config.json'), JSON.stringify(config));
  await writeAgent(folder);
}

/**
 * Copies this version's agent and its programs into the share: a running guest sees them, and takes them up when its
 * agent restarts.
 */
export async function writeAgent(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'bin'), { recursive: true, mode: 0o755 });
  for (const name of PROGRAMS) await copyFromPackage(`dist/guest/${name}`, path.join(folder, 'bin', name), 0o755);
  await copyFromPackage('dist/agent.cjs', path.join(folder, 'agent.cjs'), 0o644);
}

async function copyFromPackage(source: string, target: string, mode: number): Promise<void> {
  const file = packageFile(source);
  const content = await readFile(file).catch((error: unknown) => {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: 'A part of the guest’s agent is not in this installation.',
      why: `${file} cannot be read.`,
      fix: 'In a checkout run `npm run build`; otherwise install rosetta-vm anew.',
      facts: { file },
      cause: error,
    });
  });
  await writeWhole(target, content, mode);
}

/** Token of the boot that the share was written for. Throws `E_CORRUPT`. */
export async function readBootToken(folder: string): Promise<string> {
  const file = path.join(folder, 'config.json');
  const text = await readBounded(file, MAX_CONFIG_BYTES).catch(() => null);
  const token = /"token":"([0-9a-f]{64})"/.exec(text ?? '')?.[1];
  if (token !== undefined) return token;
  throw new RosettaVmError('E_CORRUPT', {
    what: 'The boot configuration is damaged.',
    why: `${file} holds no token.`,
    fix: 'Restart the machine: it is written anew for every boot.',
    facts: { file },
  });
}
