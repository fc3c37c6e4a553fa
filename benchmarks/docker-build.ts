/**
 * A real image built in each mode, step by step: examples/wordtally, whose configure script starts many short programs.
 * Then once more after the machine was stopped, and after it was deleted but for its data disk: the cache must be as warm
 * as before.
 */
import type { BuildRequest } from '../host/build/request.ts';
import { runInGuest } from '../host/channel/guest-command.ts';
import { asRosettaVmError, RosettaVmError } from '../host/errors.ts';
import type { AgentClient, MachineSpec, Machines, ProgressSink, StatePaths } from '../host/index.ts';
import { packageFile } from '../host/package-root.ts';
import { stage } from '../host/progress.ts';
import { makeBaseImage } from '../images/base-image.ts';
import { ModeSwitch } from './modes.ts';
import { describeStep, STEP_IDS, type StepId, type StepTimes, timesOf } from './step-times.ts';
import { timedBuild } from './timed-build.ts';
import type { Mode } from './workloads.ts';

export interface DockerBuildOptions {
  readonly machines: Machines;
  readonly machine: string;
  /** What the machine is started with again. */
  readonly spec: MachineSpec;
  readonly paths: StatePaths;
  /** Build no further than the configure step, and without restarts of the machine. */
  readonly quick: boolean;
  /** How often the configure step is timed, warm and without the cache. */
  readonly rounds: number;
  readonly mirror?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

export interface DockerBuilds {
  readonly times: readonly StepTimes[];
  /** Builds that do not count, in a record's form. */
  readonly rejected: readonly RejectedBuild[];
}

interface RejectedBuild {
  readonly workload: string;
  readonly mode: string;
  readonly reason: string;
}

/** Names the builds among samples that do not count. */
const WORKLOAD = 'docker build';
const EXAMPLE = 'examples/wordtally';
const BASE = 'debian-gcc:trixie';
/** As the example's Dockerfile says. */
const BASE_PACKAGES = ['gcc', 'make', 'libc6-dev', 'coreutils', 'dash', 'sed', 'grep', 'diffutils'];
/** Emulated by QEMU on a slow host, the longest build takes four minutes. */
const BUILD_LIMIT_MS = 20 * 60_000;
const PRODUCT_LIMIT_MS = 2 * 60_000;

/** What is built, and a file of it that must come out the same in every mode. */
interface Extent {
  readonly target: string | null;
  readonly product: string;
  /** What counts of it. */
  readonly steps: readonly StepId[];
}
const WHOLE: Extent = { target: null, product: '/usr/local/bin/wordtally', steps: STEP_IDS };
const CONFIGURED: Extent = { target: 'configured', product: '/src/config.h', steps: ['configure'] };

/** The cold build fills the cache for the warm ones. */
const ORDER: readonly Mode[] = ['cold', 'warm', 'no-cache', 'qemu'];

const TITLES: Readonly<Record<StepTimes['mode'], string>> = {
  cold: 'empty cache',
  warm: 'warm cache',
  'no-cache': 'no cache',
  qemu: 'qemu-user',
  restarted: 'after down and up',
  recreated: 'after delete --keep-data and up',
};

/**
 * Builds once in each mode, then the configure step alone with and without the cache in turn, so that a machine which
 * gets slower does so for both. The machine is left running as its spec wants it. A build that fails does not count, and
 * neither does what a failing machine keeps from being built: what else was measured keeps its worth. Throws `E_ABORTED`.
 */
export async function measureDockerBuild(options: DockerBuildOptions): Promise<DockerBuilds> {
  const builds = new Builds(options);
  try {
    await builds.prepare();
    for (const mode of ORDER) await builds.measure(mode, mode, options.quick ? CONFIGURED : WHOLE);
    for (let round = 2; round <= options.rounds; round += 1) {
      await builds.measure('warm', 'warm', CONFIGURED);
      await builds.measure('no-cache', 'no-cache', CONFIGURED);
    }
    if (!options.quick) {
      await builds.restart({ keepMachine: true });
      await builds.measure('restarted', 'warm', CONFIGURED);
      await builds.restart({ keepMachine: false });
      await builds.measure('recreated', 'warm', CONFIGURED);
    }
    await builds.restore();
  } catch (error) {
    if (options.signal.aborted) throw error;
    builds.reject('', error);
    await builds.restore().catch(() => {});
  }
  return builds.result();
}

class Builds {
  readonly #options: DockerBuildOptions;
  readonly #times: StepTimes[] = [];
  readonly #rejected: RejectedBuild[] = [];
  /** By the path of the product. */
  readonly #digests = new Map<string, string>();
  #agent: AgentClient | null = null;
  #modes: ModeSwitch | null = null;

  constructor(options: DockerBuildOptions) {
    this.#options = options;
  }

  result(): DockerBuilds {
    return { times: this.#times, rejected: this.#rejected };
  }

  async prepare(): Promise<void> {
    const { paths: store, mirror, signal, onProgress } = this.#options;
    const agent = await this.#connect();
    await makeBaseImage({
      agent,
      name: BASE,
      store,
      architecture: 'amd64',
      suite: 'trixie',
      packages: BASE_PACKAGES,
      mirror,
      signal,
      onProgress,
    });
  }

  async #connect(): Promise<AgentClient> {
    const { machines, machine, spec } = this.#options;
    this.#agent = await machines.agent(machine);
    this.#modes = await ModeSwitch.take(this.#agent, spec.cache.enabled);
    return this.#agent;
  }

  async measure(label: StepTimes['mode'], mode: Mode, extent: Extent): Promise<void> {
    const { signal, onProgress } = this.#options;
    const title = TITLES[label];
    if (this.#agent === null || this.#modes === null) return;
    const agent = this.#agent;
    try {
      await this.#modes.enter(mode);
      const steps = await stage(onProgress, 'demo.build', `docker build --no-cache, ${title}`, () =>
        timedBuild(agent, { ...REQUEST, target: extent.target }, BUILD_LIMIT_MS, signal),
      );
      await this.#check(agent, extent.product);
      const times = new Map([...timesOf(steps)].filter(([step]) => extent.steps.includes(step)));
      for (const [step, seconds] of times) this.#add(step, label, seconds);
      onProgress({ kind: 'note', message: `docker build, ${title}: ${describe(times)}` });
    } catch (error) {
      if (signal.aborted || !isOfTheBuild(error)) throw error;
      this.reject(label, error);
    }
  }

  #add(step: StepId, mode: StepTimes['mode'], seconds: number): void {
    const at = this.#times.findIndex((one) => one.step === step && one.mode === mode);
    const before = this.#times[at];
    if (before === undefined) this.#times.push({ step, mode, times: [seconds] });
    else this.#times[at] = { ...before, times: [...before.times, seconds] };
  }

  /** Every mode must make the same bytes. Throws `E_VERIFY`. */
  async #check(agent: AgentClient, product: string): Promise<void> {
    const argv = ['/bin/sh', '-c', DIGEST, 'digest', TAG, product];
    const limits = { limitMs: PRODUCT_LIMIT_MS, signal: this.#options.signal };
    const [digest = ''] = (await runInGuest(agent, { argv }, limits)).stdout.split(' ');
    const first = this.#digests.get(product) ?? digest;
    this.#digests.set(product, first);
    if (digest === first) return;
    throw new RosettaVmError('E_VERIFY', {
      what: `The build made another ${product} than the first one.`,
      why: `SHA-256 ${digest} instead of ${first}.`,
      fix: 'A translator or its cache is wrong: report it with the translator’s version.',
    });
  }

  reject(mode: string, error: unknown): void {
    const { what, why } = asRosettaVmError(error);
    const reason = `${what} ${why}`.trim();
    this.#rejected.push({ workload: WORKLOAD, mode, reason });
    this.#options.onProgress({ kind: 'note', message: `${WORKLOAD} does not count. ${reason}` });
  }

  async restart({ keepMachine }: { readonly keepMachine: boolean }): Promise<void> {
    const { machines, machine, spec, signal, onProgress } = this.#options;
    this.#agent = null;
    this.#modes = null;
    const title = keepMachine ? 'down and up' : 'delete --keep-data and up';
    await stage(onProgress, 'demo.restart', `The machine again: ${title}`, async () => {
      await machines.down(machine);
      if (!keepMachine) await machines.delete(machine, { keepData: true });
      await machines.up(machine, spec, { signal });
    });
    await this.#connect();
  }

  async restore(): Promise<void> {
    await this.#modes?.restore();
  }
}

const TAG = 'wordtally:demo';

const REQUEST: Omit<BuildRequest, 'target'> = {
  context: packageFile(EXAMPLE),
  dockerfile: packageFile(`${EXAMPLE}/Dockerfile`),
  tags: [TAG],
  buildArguments: [`BASE=${BASE}`],
  labels: [],
  extraHosts: [],
  secrets: [],
  namedContexts: [],
  platform: 'linux/amd64',
  network: 'none',
  output: { kind: 'image' },
  noCache: true,
  pull: false,
};

/** Digest of a file of an image. A container is made of it and not started. Parameters: image, file. */
const DIGEST = [
  'set -e',
  'folder=$(mktemp -d)',
  'container=$(docker create --platform linux/amd64 "$1" true)',
  `trap 'docker rm "$container" > /dev/null; rm -rf "$folder"' EXIT`,
  'docker cp --quiet "$container:$2" "$folder/product"',
  'sha256sum < "$folder/product"',
].join('\n');

/** What fails in one mode may succeed in the next; anything else is the machine's. */
function isOfTheBuild(error: unknown): boolean {
  const { code } = asRosettaVmError(error);
  return code === 'E_BUILD' || code === 'E_EXEC' || code === 'E_TIMEOUT' || code === 'E_VERIFY';
}

const describe = (times: ReadonlyMap<StepId, number>): string =>
  [...times].map(([step, seconds]) => `${describeStep(step)} ${seconds.toFixed(1)} s`).join(', ');
