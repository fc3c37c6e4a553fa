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

/** Writes the agent of this version and a new configuration into `folder`. */
export async function writeBootShare(folder: string, plan: MachinePlan): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const data = plan.disks.find(({ role }) => role === 'data');
  const config: BootConfig = {
    schemaVersion: 1,
    token: randomBytes(TOKEN_BYTES).toString('hex'),
    machine: plan.name,
    hostVersion: version,
    dataDevice: data?.guestDevice ?? '',
    translator: {
      name: plan.translator.name,
      tag: plan.translator.tag,
      ...(plan.translator.rosettaSocketPath === undefined ? {} : { socketPath: plan.translator.rosettaSocketPath }),
    },
    cache: plan.cache,
    shares: plan.shares.flatMap(({ tag, mountPoint, readOnly }) =>
      mountPoint === null ? [] : [{ tag, mountPoint, readOnly }],
    ),
  };
  await writeWhole(path.join(folder, 'config.json'), JSON.stringify(config));
  await writeAgent(folder);
}

/** Copies this version's agent into the share: a running guest sees it, and takes it up when its agent restarts. */
export async function writeAgent(folder: string): Promise<void> {
  const bundle = packageFile('dist/agent.cjs');
  const content = await readFile(bundle).catch((error: unknown) => {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: 'The guest’s agent is not in this installation.',
      why: `${bundle} cannot be read.`,
      fix: 'In a checkout run `npm run build`; otherwise install rosetta-vm anew.',
      facts: { file: bundle },
      cause: error,
    });
  });
  await writeWhole(path.join(folder, 'agent.cjs'), content, 0o644);
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
