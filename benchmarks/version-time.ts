/** What the command line costs before it does anything. */
import { execa } from 'execa';
import { packageFile } from '../host/package-root.ts';

export interface VersionTimes {
  /** `rosetta-vm --version`, seconds, one per run. */
  readonly version: readonly number[];
  /** `node -e 0`, seconds, one per run. */
  readonly node: readonly number[];
}

const LIMIT_MS = 30_000;

/** Runs both in turn; the first pair, which may read the files from the disk, does not count. */
export async function measureVersion(runs: number, signal: AbortSignal): Promise<VersionTimes> {
  const times = { version: [] as number[], node: [] as number[] };
  for (let run = 0; run <= runs; run += 1) {
    const node = await timeNode(['-e', '0'], signal);
    const version = await timeNode([packageFile('dist/rosetta-vm.js'), '--version'], signal);
    if (run === 0) continue;
    times.node.push(node);
    times.version.push(version);
  }
  return times;
}

async function timeNode(args: readonly string[], signal: AbortSignal): Promise<number> {
  const begun = performance.now();
  await execa(process.execPath, args, { stdin: 'ignore', timeout: LIMIT_MS, cancelSignal: signal });
  return (performance.now() - begun) / 1000;
}
