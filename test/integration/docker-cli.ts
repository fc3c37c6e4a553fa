/** Debian's own docker command line with buildx, for tests: taken from its packages, so that no host must have it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import * as tar from 'tar';
import { statePaths } from '../../host/paths.ts';
import { buildBaseRoot } from '../../images/index.ts';
import { machines, sharedMachine } from './support.ts';

const PROGRAM = 'usr/bin/docker';
const PLUGINS = 'usr/libexec/docker/cli-plugins';
/** Fifty at once under emulation take some minutes. */
const LIMIT_MS = 600_000;

export interface DockerOutcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DockerCli {
  /** Runs `docker …` to its end. */
  (args: readonly string[], input?: string | Buffer): Promise<DockerOutcome>;
  /** The program, for `script` and the like. */
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  /** Starts `docker …`; the test ends it. */
  start(args: readonly string[]): ChildProcess;
}

/** A docker command line that goes to `host` (`unix://…`). */
export async function dockerCli(host: string): Promise<DockerCli> {
  const folder = await unpacked();
  const program = path.join(folder, PROGRAM);
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: path.join(folder, 'config') };
  const start = (args: readonly string[]): ChildProcess => spawn(program, args, { env, timeout: LIMIT_MS });
  const run = async (args: readonly string[], input?: string | Buffer): Promise<DockerOutcome> => {
    const child = spawn(program, args, { env, timeout: LIMIT_MS });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [stdout, stderr, status] = await Promise.all([buffer(child.stdout), buffer(child.stderr), exited]);
    return { status, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') };
  };
  return Object.assign(run, { program, env, start });
}

/** One that goes to the machine that all tests share. Started in the guest instead, each would take seconds. */
export async function sharedDockerCli(): Promise<DockerCli> {
  return await dockerCli((await machines.status(sharedMachine())).docker?.host ?? '');
}

async function unpacked(): Promise<string> {
  const store = statePaths();
  const root = await buildBaseRoot({
    store,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    suite: 'trixie',
    packages: ['docker-cli', 'docker-buildx'],
  });
  const folder = path.join(store.tools, `docker-cli-${root.sha256.slice(0, 16)}`);
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(path.join(partial, 'config'), { recursive: true });
  const wanted = (name: string): boolean => name === PROGRAM || name.startsWith(`${PLUGINS}/`);
  await tar.extract({ file: root.archive, cwd: partial, filter: (name) => wanted(name.replace(/^\.\//, '')) });
  const config = { cliPluginsExtraDirs: [path.join(folder, PLUGINS)] };
  await writeFile(path.join(partial, 'config/config.json'), JSON.stringify(config));
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
  return folder;
}
