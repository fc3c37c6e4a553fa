/** What runs a host process: this very node, or what the driver's framework wants instead. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Driver, HostProgram } from '../drivers/driver.ts';
import { packageFile } from '../package-root.ts';
import type { ProgressSink } from '../progress.ts';

export interface HostProgramOptions {
  readonly onProgress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

/** May have to make it first. Throws what {@link Driver.hostProgram} throws. */
export async function hostProgram(driver: Driver, options: HostProgramOptions): Promise<HostProgram> {
  return (await driver.hostProgram?.(options)) ?? THIS_NODE;
}

const THIS_NODE: HostProgram = {
  argv: [process.execPath, packageFile('dist/machine-host.js')],
  env: process.env,
  descriptors: [],
  release: async () => {},
};

export interface HostStreams {
  readonly input: 'ignore' | 'pipe';
  /** For stdout and stderr each; a number is a descriptor. */
  readonly output: 'pipe' | number;
}

/** Starts it apart from this terminal. */
export function spawnHost(
  program: HostProgram,
  words: readonly string[],
  { input, output }: HostStreams,
): ChildProcess {
  const [executable = '', ...first] = program.argv;
  return spawn(executable, [...first, ...words], {
    detached: true,
    cwd: '/',
    env: program.env,
    stdio: [input, output, output, ...program.descriptors],
  });
}
