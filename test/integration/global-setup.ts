/**
 * What tests that boot machines need first: the image, and for the project `integration` one running machine, `shared`.
 * Machines that an interrupted run left are ended.
 */
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureHost } from '../../host/doctor/index.ts';
import { openMachines } from '../../host/machine/open-machines.ts';
import { type StatePaths, statePaths } from '../../host/paths.ts';
import { lock } from '../../host/process/lock.ts';
import type { ProgressSink } from '../../host/progress.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { buildImage, deleteImage, listImages } from '../../images/index.ts';
import { sharedImages, TEST_CPUS, testEnvironment, UNSET } from './environment.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Name of the running machine that every test of the project `integration` may use and none may stop. */
    machine: string;
  }
}

const SHARED = 'shared';

const tell: ProgressSink = (event) => {
  if (event.kind === 'begin') process.stdout.write(`${event.title} …\n`);
  if (event.kind === 'note') process.stdout.write(`${event.message}\n`);
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  for (const name of UNSET) delete process.env[name];
  Object.assign(process.env, testEnvironment(project.name));
  const paths = statePaths();
  const machines = openMachines({ paths });
  await ensureHost(paths, { onProgress: tell });
  await removeMachines();
  await ensureImage(paths);
  if (project.name === 'integration') {
    await machines.up(SHARED, parseSpec({ cpus: TEST_CPUS, memory: '2GiB', disk: '8GiB' }), { onProgress: tell });
    project.provide('machine', SHARED);
  }
  return removeMachines;

  async function removeMachines(): Promise<void> {
    for (const { name } of await machines.list()) {
      await machines.down(name, { force: true });
      await machines.delete(name, { keepData: false });
    }
  }
}

/** The image of this checkout, in the one folder of images; the projects that run side by side build it once. */
async function ensureImage(paths: StatePaths): Promise<void> {
  await mkdir(sharedImages, { recursive: true });
  await mkdir(path.dirname(paths.images), { recursive: true });
  await symlink(sharedImages, paths.images).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const building = await lock(`${sharedImages}.lock`, { timeoutMs: 600_000, what: 'The image of the tests' });
  try {
    const image = await buildImage({ store: paths, onProgress: tell });
    // Each holds a gigabyte, and a checkout that changes makes new ones.
    for (const { id } of await listImages(paths)) if (id !== image.id) await deleteImage(paths, id);
  } finally {
    await building.release();
  }
}
