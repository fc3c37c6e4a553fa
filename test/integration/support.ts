/** Tools of the integration tests. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { ensureGuestTree } from '../../benchmarks/guest-tree.ts';
import type { ExecRequest, ExitStatus } from '../../guest/protocol.ts';
import type { AgentClient } from '../../host/channel/agent-client.ts';
import type { Machines } from '../../host/machine/machines.ts';
import { openMachines } from '../../host/machine/open-machines.ts';
import { packageFile } from '../../host/package-root.ts';
import { statePaths } from '../../host/paths.ts';
import { ignoreProgress } from '../../host/progress.ts';

export const machines: Machines = openMachines();

/** The running machine that all tests share. */
export const sharedMachine = (): string => inject('machine');
export const sharedAgent = (): Promise<AgentClient> => machines.agent(sharedMachine());

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: ExitStatus;
}

/** Runs a program in the guest to its end. */
export async function runInGuest(
  agent: AgentClient,
  argv: readonly string[],
  more: Partial<ExecRequest> & { readonly input?: string | Buffer } = {},
): Promise<Outcome> {
  const { input, ...request } = more;
  const session = await agent.exec({ argv, stdin: input !== undefined, ...request });
  if (input !== undefined) session.stdin.end(input);
  const [stdout, stderr, exit] = await Promise.all([buffer(session.stdout), buffer(session.stderr), session.exit]);
  return { stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8'), exit };
}

export interface CommandOutcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command line as a user would, without a terminal. */
export function rosettaVm(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [packageFile('dist/rosetta-vm.js'), ...args],
      { env: { ...process.env, ...env }, timeout: 170_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ status, stdout, stderr });
      },
    );
  });
}

/** An amd64 image of Debian packages in the shared machine's engine; made on the first call, and not to be removed. */
export async function amd64Image(): Promise<string> {
  const name = 'rvm-test:amd64';
  const base = ['image', 'base', name, '--machine', sharedMachine()];
  const { status, stderr } = await rosettaVm([...base, '--packages', 'coreutils,dash,mount,perl-base']);
  if (status !== 0) throw new Error(stderr);
  return name;
}

/** A small amd64 Debian tree in the guest; made on the first call. */
export function amd64Tree(agent: AgentClient): Promise<string> {
  return ensureGuestTree({
    agent,
    paths: statePaths(),
    name: 'test',
    packages: ['coreutils', 'dash', 'make', 'perl-base'],
    signal: AbortSignal.timeout(300_000),
    onProgress: ignoreProgress,
  });
}

/** Compiles C for x86_64 Linux into `file`, linked against glibc; on arm64 that takes a cross compiler. */
export async function compileAmd64(file: string, text: string): Promise<void> {
  const source = `${file}.c`;
  await writeFile(source, text);
  const compiler = process.arch === 'x64' ? 'gcc' : 'x86_64-linux-gnu-gcc';
  await promisify(execFile)(compiler, ['-O1', '-o', file, source]);
}

/** Compiles C and puts it into the guest's own root, where box64 brings the C library. */
export async function putAmd64(agent: AgentClient, target: string, text: string): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'rvm-program-'));
  try {
    const program = path.join(directory, 'program');
    await compileAmd64(program, text);
    const put = ['sh', '-c', 'cat >"$0" && chmod +x "$0"', target];
    const { stderr, exit } = await runInGuest(agent, put, { input: await readFile(program) });
    if (exit.code !== 0) throw new Error(stderr);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
