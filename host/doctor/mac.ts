/** The Mac's part of the diagnosis: the signed copy of node that host processes run on. */
import type { Capability } from '../drivers/driver.ts';
import { hostEnvironment } from '../drivers/vz/signed-host/environment.ts';
import { inspectSignedHost } from '../drivers/vz/signed-host/inspect.ts';
import {
  buildFacts,
  installedAddon,
  realSurroundings,
  type Surroundings,
  signedHostProgram,
} from '../drivers/vz/signed-host/program.ts';
import { RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import type { ProgressSink } from '../progress.ts';

/** A line a step. Never rejects for what the host lacks; nothing is created. */
export async function signedHostChecks(
  paths: StatePaths,
  surroundings: Surroundings = realSurroundings(),
): Promise<Capability[]> {
  try {
    const facts = await buildFacts(await installedAddon(surroundings), surroundings);
    const { run, env } = surroundings;
    return await inspectSignedHost({ hosts: paths.hosts, facts, run, env: hostEnvironment(env) });
  } catch (error) {
    if (!(error instanceof RosettaVmError)) throw error;
    const { what, why, fix } = error;
    return [{ id: 'signed-source', status: 'missing', what, why, fix }];
  }
}

/** Makes the copy, anew where one is there and not well. Resolves to what was done, a sentence, or to null. */
export async function mendSignedHost(
  paths: StatePaths,
  options: { readonly onProgress: ProgressSink; readonly signal?: AbortSignal | undefined },
  surroundings: Surroundings = realSurroundings(),
): Promise<string | null> {
  const rows = await signedHostChecks(paths, surroundings);
  if (rows.every(({ status }) => status === 'ok')) return null;
  const addon = await installedAddon(surroundings);
  const program = await signedHostProgram({ hosts: paths.hosts, addon, surroundings, again: true, ...options });
  await program.release();
  return `Signed a copy of Node.js: ${program.argv[0]}.`;
}
