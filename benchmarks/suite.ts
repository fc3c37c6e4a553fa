/** Measures the workloads, one sample at a time, and throws away what did not do its work. */
import { readFile } from 'node:fs/promises';
import { runInGuest } from '../host/channel/guest-command.ts';
import { formatDuration } from '../host/cli/format.ts';
import { asRosettaVmError, RosettaVmError } from '../host/errors.ts';
import type { AgentClient, ProgressSink, TranslatorName } from '../host/index.ts';
import { packageFile } from '../host/package-root.ts';
import { stage } from '../host/progress.ts';
import { type HyperfineResult, mergeSamples } from './hyperfine.ts';
import { type ActiveTranslator, ModeSwitch } from './modes.ts';
import { takeSample } from './sample.ts';
import { interleave } from './schedule.ts';
import { type Mode, WORK_DIR, type Workload } from './workloads.ts';

/** A sample that does not count, and why. */
export interface Rejected {
  readonly workload: string;
  readonly mode: Mode;
  readonly reason: string;
}

/** How full the cache was after the cold runs of a workload: it holds that workload alone. */
export interface CacheUse {
  readonly workload: string;
  readonly entries: number;
  readonly bytes: number;
}

export interface SuiteResult {
  /** One per workload and mode; `parameters` name the two. */
  readonly results: readonly HyperfineResult[];
  readonly rejected: readonly Rejected[];
  readonly cache: readonly CacheUse[];
  /** Every translator that ran, the machine's own first. */
  readonly translators: readonly ActiveTranslator[];
}

export interface SuiteOptions {
  readonly agent: AgentClient;
  /** Whether the machine's cache is to be on afterwards. */
  readonly cacheEnabled: boolean;
  /** amd64 tree in the guest. */
  readonly tree: string;
  readonly workloads: readonly Workload[];
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

/** Small commands around the samples. */
const AUXILIARY_LIMIT_MS = 5 * 60_000;

/**
 * Takes all samples and brings the machine back into the mode it was in, whatever happens. Throws `E_ABORTED`, and what
 * keeps a machine from being measured at all; a failing program is a {@link Rejected} sample.
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const { agent, onProgress } = options;
  const modes = await ModeSwitch.take(agent, options.cacheEnabled);
  try {
    await stage(onProgress, 'demo.prepare', 'Reading the tree once', () => prepareTree(options));
    const runs = new SuiteRun(options, modes);
    for (const workload of options.workloads) await runs.measure(workload);
    await modes.restore();
    return runs.result();
  } catch (error) {
    // The first error tells more than that a machine which broke cannot be restored either.
    await modes.restore().catch(() => {});
    throw error;
  }
}

/** Writes the sources, and reads every file, natively, so that no mode alone waits for the disk. */
async function prepareTree({ agent, tree, workloads, signal }: SuiteOptions): Promise<void> {
  const limits = { limitMs: AUXILIARY_LIMIT_MS, signal };
  for (const { source } of workloads) {
    if (source === undefined) continue;
    const text = await readFile(packageFile(`examples/${source}`));
    const write = 'mkdir -p "$(dirname "$1")" && cat > "$1"';
    const argv = ['/bin/sh', '-c', write, 'write', `${tree}${WORK_DIR}/${source}`];
    await runInGuest(agent, { argv }, { ...limits, input: once(text) });
  }
  const read = 'find "$1" -xdev -type f -exec cat {} + > /dev/null';
  await runInGuest(agent, { argv: ['/bin/sh', '-c', read, 'read', tree] }, limits);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

class SuiteRun {
  readonly #options: SuiteOptions;
  readonly #modes: ModeSwitch;
  readonly #results: HyperfineResult[] = [];
  readonly #rejected: Rejected[] = [];
  readonly #cache: CacheUse[] = [];
  readonly #translators = new Map<TranslatorName, ActiveTranslator>();

  constructor(options: SuiteOptions, modes: ModeSwitch) {
    this.#options = options;
    this.#modes = modes;
  }

  result(): SuiteResult {
    return {
      results: this.#results,
      rejected: this.#rejected,
      cache: this.#cache,
      translators: [...this.#translators.values()],
    };
  }

  /** The cold runs come first: they empty the cache, and the last of them fills it for the warm ones. */
  async measure(workload: Workload): Promise<void> {
    const { runs, warmUp, id, title } = workload;
    const taken = new Samples(workload);
    if (warmUp) await this.#sample(taken, 'no-cache', `${title}: untimed run`, false);
    for (let run = 1; run <= runs.cold; run += 1) {
      await this.#sample(taken, 'cold', `${title}: empty cache, ${run} of ${runs.cold}`);
    }
    const { entries, bytes } = await this.#options.agent.cacheStats({ signal: this.#options.signal });
    this.#cache.push({ workload: id, entries, bytes });
    const order = interleave<Mode>([
      ['no-cache', runs['no-cache']],
      ['warm', runs.warm],
      ['qemu', runs.qemu],
    ]);
    for (const [index, mode] of order.entries()) {
      await this.#sample(taken, mode, `${title}: ${LABEL[mode]}, ${index + 1} of ${order.length}`);
    }
    const merged = taken.merged();
    this.#results.push(...merged);
    this.#options.onProgress({ kind: 'note', message: `${title}: ${describeMedians(merged)}` });
  }

  /** A mode that failed once is not tried again: the next sample would take as long to fail. */
  async #sample(taken: Samples, mode: Mode, title: string, timed = true): Promise<void> {
    const { agent, tree, signal, onProgress } = this.#options;
    const { workload } = taken;
    if (this.#rejected.some((one) => one.workload === workload.id && one.mode === mode)) return;
    try {
      const active = await this.#modes.enter(mode);
      this.#translators.set(active.name, active);
      const sample = await stage(onProgress, 'demo.sample', title, () => takeSample(agent, tree, workload, signal));
      taken.check(sample.product);
      if (timed) taken.add(mode, sample.result);
    } catch (error) {
      const { code, what, why } = asRosettaVmError(error);
      if (code !== 'E_EXEC' && code !== 'E_TIMEOUT' && code !== 'E_VERIFY') throw error;
      const reason = `${what} ${why}`;
      this.#rejected.push({ workload: workload.id, mode, reason });
      onProgress({ kind: 'note', message: `${title} does not count. ${reason}` });
    }
  }
}

const LABEL: Readonly<Record<Mode, string>> = {
  'no-cache': 'no cache',
  cold: 'empty cache',
  warm: 'warm cache',
  qemu: 'qemu-user',
};

/** `no cache 18.3 s, warm cache 6.5 s`. */
function describeMedians(results: readonly HyperfineResult[]): string {
  return results
    .map(({ median, parameters }) => `${LABEL[parameters?.mode as Mode]} ${formatDuration(median * 1000)}`)
    .join(', ');
}

/** Accepted samples of one workload. */
class Samples {
  readonly workload: Workload;
  readonly #byMode = new Map<Mode, HyperfineResult[]>();
  #product: string | null = null;

  constructor(workload: Workload) {
    this.workload = workload;
  }

  /** Every run must make the same bytes as the first. Throws `E_VERIFY`. */
  check(product: string): void {
    this.#product ??= product;
    if (product === this.#product) return;
    throw new RosettaVmError('E_VERIFY', {
      what: 'The run made something else than the first one.',
      why: `SHA-256 ${product} instead of ${this.#product}.`,
      fix: 'A translator or its cache is wrong: report it with the translator’s version.',
    });
  }

  add(mode: Mode, result: HyperfineResult): void {
    this.#byMode.set(mode, [...(this.#byMode.get(mode) ?? []), result]);
  }

  merged(): HyperfineResult[] {
    const { id: workload } = this.workload;
    return [...this.#byMode].map(([mode, samples]) => mergeSamples(samples, { workload, mode }, `${workload} ${mode}`));
  }
}
