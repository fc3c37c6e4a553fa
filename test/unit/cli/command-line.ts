/** Runs the bundled command line as a user would: a process, its streams and its exit status. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

export const TEST_VERSION = '9.8.7';
/** Long enough for two busy cores, short enough to tell a hang. */
const LIMIT_MS = 15_000;

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** ROSETTA_VM_HOME; nothing of the user's own state is ever touched. */
  readonly home: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

export interface CommandLine {
  /** Path of the program. */
  readonly program: string;
  run(args: readonly string[], options: RunOptions): Promise<Outcome>;
}

/** Bundles a command line once for a test file, as host/dev/build.mjs does for `dist`. */
export function commandLine(source = 'host/cli/rosetta-vm.ts'): CommandLine {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
  let folder = '';
  const program = (): string => path.join(folder, 'program.js');
  beforeAll(async () => {
    // Inside the package: the program finds its data files by going up to package.json.
    const cache = path.join(root, 'node_modules/.cache');
    await mkdir(cache, { recursive: true });
    folder = await mkdtemp(path.join(cache, 'rosetta-vm-cli-'));
    await build({
      absWorkingDir: root,
      entryPoints: { program: source },
      outdir: folder,
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      define: { ROSETTA_VM_VERSION: JSON.stringify(TEST_VERSION) },
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
      logLevel: 'error',
    });
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    get program() {
      return program();
    },
    run: (args, options) => runProgram([process.execPath, program(), ...args], options),
  };
}

/** Environment of a run: the test's own, without what changes output, and with state and a docker context of its own. */
export function environment({ home, env = {} }: RunOptions): NodeJS.ProcessEnv {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env;
  return { ...inherited, ROSETTA_VM_HOME: home, DOCKER_CONFIG: path.join(home, '.docker'), TZ: 'UTC', ...env };
}

/** Runs any program to its end; it is killed when it hangs. */
export function runProgram(argv: readonly string[], options: RunOptions): Promise<Outcome> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd ?? options.home, env: environment(options), timeout: LIMIT_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** The three parts of an error on stderr. */
export function parts({ stderr }: Outcome): { what: string; why: string; fix: string } {
  const match = /^Error: (?<what>.+)\n {2}Why: (?<why>[\s\S]+?)\n {2}Fix: (?<fix>[\s\S]+)\n$/m.exec(stderr);
  if (match?.groups === undefined) throw new Error(`no three-part error: ${stderr}`);
  return match.groups as { what: string; why: string; fix: string };
}
