/** What rosetta-vm itself needs of a host, whatever the driver. */
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Capability } from '../drivers/driver.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { runtimeDirectory, type StatePaths } from '../paths.ts';
import { runtimePlan } from '../plan/make-plan.ts';
import { DEFAULT_MACHINE_NAME } from '../spec/spec.ts';
import { formatSize, GIB } from '../spec/units.ts';

/** `engines` of package.json. */
const MINIMUM_NODE: readonly [major: number, minor: number] = [20, 19];

/** An image with its downloads takes about 1.5 GiB, the first machine as much again as the guest fills its disks. */
const MINIMUM_FREE_BYTES = 3 * GIB;
const COMFORTABLE_FREE_BYTES = 10 * GIB;

/** Never rejects for what the host lacks; nothing is created. */
export async function hostChecks(paths: StatePaths): Promise<Capability[]> {
  const [state, image] = await Promise.all([stateCheck(paths), imageCheck(paths)]);
  return [nodeCheck(process.versions.node), state, socketCheck(paths), image];
}

/** `version` as in process.versions.node. */
export function nodeCheck(version: string): Capability {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [needMajor, needMinor] = MINIMUM_NODE;
  const what = `Node.js ${version}`;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return ok('node', what);
  const need = MINIMUM_NODE.join('.');
  return {
    id: 'node',
    status: 'missing',
    what,
    why: `${need} is the oldest that can be used.`,
    fix: `Install Node.js ${need} or newer.`,
  };
}

async function stateCheck(paths: StatePaths): Promise<Capability> {
  const folders = [paths.machines, paths.images, paths.downloads, paths.tools, paths.run];
  for (const folder of folders) {
    const base = await nearestExisting(folder);
    if (await isWritable(base)) continue;
    return {
      id: 'state',
      status: 'missing',
      what: `${folder} cannot be written to`,
      why:
        base === folder
          ? 'It is no folder, or one in which this user may not write.'
          : `It would be created in ${base}, which is no folder or one in which this user may not write.`,
      fix: 'Mend the rights of that folder, or set ROSETTA_VM_HOME to a folder of your own.',
    };
  }
  return await spaceCheck(paths.images);
}

async function spaceCheck(folder: string): Promise<Capability> {
  const { bavail, bsize } = await statfs(await nearestExisting(folder));
  const free = bavail * bsize;
  const what = `${path.dirname(folder)}, ${formatSize(free)} free`;
  if (free >= COMFORTABLE_FREE_BYTES) return ok('state', what);
  const enough = free >= MINIMUM_FREE_BYTES;
  return {
    id: 'state',
    status: enough ? 'degraded' : 'missing',
    what,
    why: enough
      ? `An image and a machine fit, not much more: ${formatSize(COMFORTABLE_FREE_BYTES)} are comfortable.`
      : `An image and a machine take ${formatSize(MINIMUM_FREE_BYTES)}.`,
    fix: 'Free some space, or set ROSETTA_VM_HOME to a folder on a larger disk.',
  };
}

function socketCheck(paths: StatePaths): Capability {
  try {
    const { directory } = runtimePlan(runtimeDirectory(paths, DEFAULT_MACHINE_NAME));
    return ok('sockets', path.dirname(directory));
  } catch (error) {
    if (!(error instanceof RosettaVmError)) throw error;
    return { id: 'sockets', status: 'missing', what: paths.run, why: error.why, fix: error.fix };
  }
}

async function imageCheck(paths: StatePaths): Promise<Capability> {
  const { listImages } = await import('../../images/index.ts');
  try {
    const images = await listImages(paths);
    if (images.length > 0) return ok('image', images.map(({ name, id }) => `${name} (${id})`).join(', '));
    return {
      id: 'image',
      status: 'degraded',
      what: 'There is no guest image yet',
      why: 'The first start builds it, which takes some minutes and the network.',
      fix: 'Run `rosetta-vm image build` to have it ready.',
    };
  } catch (error) {
    const { what, why, fix } = asRosettaVmError(error);
    return { id: 'image', status: 'degraded', what: 'The images cannot be listed', why: `${what} ${why}`, fix };
  }
}

/** The folder itself, or the nearest one above it that exists. */
async function nearestExisting(folder: string): Promise<string> {
  const exists = await access(folder).then(
    () => true,
    () => false,
  );
  return exists || folder === path.dirname(folder) ? folder : await nearestExisting(path.dirname(folder));
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}

function ok(id: string, what: string): Capability {
  return { id, status: 'ok', what, why: '', fix: '' };
}
