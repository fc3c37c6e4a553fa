/**
 * State of the tests that boot machines, apart from the user's and from each other's: `up` selects a docker context, and
 * `doctor` looks at every machine. It survives between runs. Downloads are the user's own cache.
 */
import { homedir } from 'node:os';
import path from 'node:path';

const cacheHome = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
const state = path.join(cacheHome, 'rosetta-vm', 'test');

/**
 * CPUs of most machines of the tests. Two machines run at once: with two CPUs each, on two of the host's, their CPUs wait
 * for each other, and a test takes 2.4 times as long as alone (Docker's tests, emulated); with one, 1.1 times.
 */
export const TEST_CPUS = 1;

/** Images are the same for all, and take a minute to set up: each project's folder of them is a link to this one. */
export const sharedImages: string = path.join(state, 'images');

/** Environment of a vitest project, of the command line that its tests start, and of the host processes of its machines. */
export function testEnvironment(project: string): Record<string, string> {
  return { XDG_DATA_HOME: path.join(state, project), DOCKER_CONFIG: path.join(state, project, 'docker') };
}

/** Variables that would lead elsewhere. */
export const UNSET: readonly string[] = ['ROSETTA_VM_HOME', 'XDG_RUNTIME_DIR', 'DOCKER_HOST', 'DOCKER_CONTEXT'];
