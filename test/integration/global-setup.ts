/**
 * What the integration tests share: one image and one running machine, `shared`. Their state is apart from the user's
 * and survives between runs, so that a second `npm test` need not set the image up again; downloads are the user's own
 * cache. Machines that an interrupted run left are ended first.
 */
import { homedir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureHost } from '../../host/doctor/index.ts';
import { openMachines } from '../../host/machine/open-machines.ts';
import { type StatePaths, statePaths } from '../../host/paths.ts';
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

const tell: ProgressSink = (event) => {
  if (event.kind === 'begin') process.stdout.write(`${event.title} …\n`);
  if (event.kind === 'note') process.stdout.write(`${event.message}\n`);
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  useTestState();
  const paths = statePaths();
  const machines = openMachines({ paths });
  await ensureHost(paths, { onProgress: tell });
  await removeMachines();
  const image = await buildImage({ store: paths, onProgress: tell });
  await removeOtherImages(paths, image.id);
  await machines.up(SHARED, parseSpec({ memory: '2GiB', disk: '8GiB' }), { onProgress: tell });
  project.provide('machine', SHARED);
  return removeMachines;

  async function removeMachines(): Promise<void> {
    for (const { name } of await machines.list()) {
      await machines.down(name, { force: true });
      await machines.delete(name, { keepData: false });
    }
  }
}

/** The environment is inherited by the test workers, by the command line they run and by the host processes. */
function useTestState(): void {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  delete process.env.ROSETTA_VM_HOME;
  delete process.env.XDG_RUNTIME_DIR;
  process.env.XDG_DATA_HOME = path.join(cache, 'rosetta-vm', 'test');
  // `up` selects a docker context, which must not be the user's.
  process.env.DOCKER_CONFIG = path.join(cache, 'rosetta-vm', 'test', 'docker');
  delete process.env.DOCKER_HOST;
  delete process.env.DOCKER_CONTEXT;
}

/** Each holds a gigabyte, and a checkout that changes makes new ones. */
async function removeOtherImages(paths: StatePaths, current: string): Promise<void> {
  for (const { id } of await listImages(paths)) if (id !== current) await deleteImage(paths, id);
}
