/** What on this host keeps the docker command line from using a machine, or a machine's translator. */
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import type { Capability } from '../drivers/driver.ts';
import { readBounded } from '../files.ts';
import { findProgram } from '../process/programs.ts';

const MAX_FILE_BYTES = 64 * 1024;

/** buildx keeps the selected builder in `current` and each builder in `instances/NAME` (docker/buildx, store/store.go). */
const currentSchema = z.object({ Key: z.string(), Name: z.string(), Global: z.boolean().optional() });
const instanceSchema = z.object({ Driver: z.string().optional() });

/** Looks; never rejects. `runDirectory` is where machines' sockets are. */
export async function dockerChecks(runDirectory: string, env: NodeJS.ProcessEnv = process.env): Promise<Capability[]> {
  return [await commandLineCheck(runDirectory, env), ...(await builderCheck(env))];
}

async function commandLineCheck(runDirectory: string, env: NodeJS.ProcessEnv): Promise<Capability> {
  const program = await findProgram('docker', env);
  const id = 'docker-cli';
  if (program === null) {
    return { id, status: 'ok', what: 'no docker command line; `rosetta-vm build` needs none', why: '', fix: '' };
  }
  const variable = ['DOCKER_HOST', 'DOCKER_CONTEXT'].find((one) => (env[one] ?? '') !== '');
  const value = variable === undefined ? '' : (env[variable] ?? '');
  if (variable === undefined || value.startsWith(`unix://${runDirectory}/`) || value.startsWith('rosetta-vm')) {
    return { id, status: 'ok', what: program, why: '', fix: '' };
  }
  return {
    id,
    status: 'degraded',
    what: program,
    why: `${variable} is set to ${value}, so docker does not go by the context that \`rosetta-vm up\` selects.`,
    fix: `Run \`unset ${variable}\`, or \`eval "$(rosetta-vm env)"\`.`,
  };
}

/** A builder in a container of its own is left out of everything that the machine does for x86_64 programs. */
async function builderCheck(env: NodeJS.ProcessEnv): Promise<Capability[]> {
  const docker = env.DOCKER_CONFIG ?? path.join(homedir(), '.docker');
  const store = env.BUILDX_CONFIG ?? path.join(docker, 'buildx');
  const name = env.BUILDX_BUILDER ?? (await selectedBuilder(store));
  if (name === undefined || name === '' || path.basename(name) !== name) return [];
  const builder = await readAs(path.join(store, 'instances', name), instanceSchema);
  if (builder?.Driver !== 'docker-container') return [];
  return [
    {
      id: 'buildx',
      status: 'degraded',
      what: `buildx uses the builder ${name}`,
      why: 'It runs BuildKit in a container of its own, with a QEMU of its own for x86_64 programs: neither the machine’s translator nor the translation cache is used.',
      fix: 'Run `docker buildx use default`, or build with `rosetta-vm build`.',
    },
  ];
}

/** One that was selected for all of docker, or for a machine of ours. */
async function selectedBuilder(store: string): Promise<string | undefined> {
  const current = await readAs(path.join(store, 'current'), currentSchema);
  return current?.Global === true || current?.Key.includes('rosetta-vm') ? current.Name : undefined;
}

/** Undefined for what is not there or not understood: it is buildx's, and only looked at. */
async function readAs<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse((await readBounded(file, MAX_FILE_BYTES)) ?? ''));
  } catch {
    return undefined;
  }
}
