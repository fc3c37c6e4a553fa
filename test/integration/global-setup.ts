/**
 * What the integration tests share: one image, and those of the project `integration` one running machine, `shared`;
 * those of the project `machines`, which may run beside it, have machines of their own. Their state is apart from the
 * user's and survives between runs, so that a second `npm test` need not set the image up again; downloads are the
 * user's own cache. Machines that an interrupted run left are ended first.
 */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureHost } from '../../host/doctor/index.ts';
import { openMachines } from '../../host/machine/open-machines.ts';
import { type StatePaths, statePaths } from '../../host/paths.ts';
import { lock } from '../../host/process/lock.ts';
import type { ProgressSink } from '../../host/progress.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { buildImage, deleteImage, listImages } from '../../images/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Name of the running machine that every test may use and none may stop. */
    machine: string;
  }
}

const SHARED = 'shared';
/** bench.test.ts stops one, which is not to be the one that all others use. */
const isOfSharedProject = (name: string): boolean => name === SHARED || name.startsWith('bench-');
/** A project's first run makes the image, while the other's waits. */
const IMAGE_LIMIT_MS = 540_000;

const tell: ProgressSink = (event) => {
  if (event.kind === 'begin') process.stdout.write(`${event.title} …\n`);
  if (event.kind === 'note') process.stdout.write(`${event.message}\n`);
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  useTestState(project.name);
  const paths = statePaths();
  const machines = openMachines({ paths });
  const shares = project.name === 'integration';
  await ensureHost(paths, { onProgress: tell });
  await removeMachines();
  await makeImage(paths);
  if (shares) {
    await machines.up(SHARED, parseSpec({ memory: '2GiB', disk: '8GiB' }), { onProgress: tell });
    project.provide('machine', SHARED);
  }
  return removeMachines;

  async function removeMachines(): Promise<void> {
    for (const { name } of await machines.list()) {
      if (isOfSharedProject(name) !== shares) continue;
      await machines.down(name, { force: true });
      await machines.delete(name, { keepData: false });
    }
  }
}

/** The environment is inherited by the test workers, by the command line they run and by the host processes. */
function useTestState(project: string): void {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  delete process.env.ROSETTA_VM_HOME;
  delete process.env.XDG_RUNTIME_DIR;
  process.env.XDG_DATA_HOME = path.join(cache, 'rosetta-vm', 'test');
  // `up` selects a docker context, which must be neither the user's nor the other project's.
  process.env.DOCKER_CONFIG = path.join(cache, 'rosetta-vm', 'test', `docker-${project}`);
  delete process.env.DOCKER_HOST;
  delete process.env.DOCKER_CONTEXT;
}

async function makeImage(paths: StatePaths): Promise<void> {
  await mkdir(paths.images, { recursive: true });
  const held = await lock(path.join(paths.images, 'test-setup.lock'), {
    timeoutMs: IMAGE_LIMIT_MS,
    what: 'The image of the tests',
  });
  try {
    const image = await buildImage({ store: paths, onProgress: tell });
    await removeOtherImages(paths, image.id);
  } finally {
    await held.release();
  }
}

/** Each holds a gigabyte, and a checkout that changes makes new ones. */
async function removeOtherImages(paths: StatePaths, current: string): Promise<void> {
  for (const { id } of await listImages(paths)) if (id !== current) await deleteImage(paths, id);
}
