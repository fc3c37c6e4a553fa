/** A command in a tree, amd64 through the translator or arm64 by itself, timed by hyperfine in the guest. */
import { createHash } from 'node:crypto';
import { RosettaVmError } from '../../host/errors.ts';
import type { TranslatorName } from '../../host/index.ts';
import type { Architecture } from '../../images/debian/archive.ts';
import { ensureGuestTree, type TreeOptions } from '../guest-tree.ts';
import type { Arm } from '../session.ts';
import type { CommandBenchmark, Suite } from '../suites/schema.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import { type Layer, makeLayer, removeLayer, runSetup, takeGuestSample } from './guest-layer.ts';
import { bringInput } from './inputs.ts';
import type { CacheMode } from './matrix.ts';
import { countTranslations } from './translations.ts';

/** Brings the trees and everything that it works on. Throws what that throws. `treeOf` makes a tree in the guest. */
export async function prepareCommand(
  bench: Bench,
  suite: Suite,
  benchmark: CommandBenchmark,
  arms: readonly Arm[],
  treeOf: (options: TreeOptions) => Promise<string> = ensureGuestTree,
): Promise<BenchmarkRunner> {
  const runner = new CommandRunner(bench, suite, benchmark, treeOf);
  for (const architecture of new Set(arms.map(architectureOf))) await runner.prepare(architecture);
  return runner;
}

const architectureOf = ({ native }: Arm): Architecture => (native ? 'arm64' : 'amd64');

class CommandRunner implements BenchmarkRunner {
  readonly unit = 'seconds';
  readonly smallerIsBetter = true;
  readonly warmUps: number;
  readonly #bench: Bench;
  readonly #suite: Suite;
  readonly #benchmark: CommandBenchmark;
  readonly #treeOf: (options: TreeOptions) => Promise<string>;
  readonly #layers = new Map<Architecture, Layer>();

  constructor(
    bench: Bench,
    suite: Suite,
    benchmark: CommandBenchmark,
    treeOf: (options: TreeOptions) => Promise<string>,
  ) {
    this.#treeOf = treeOf;
    this.#bench = bench;
    this.#suite = suite;
    this.#benchmark = benchmark;
    this.warmUps = benchmark.warmUps;
  }

  async prepare(architecture: Architecture): Promise<void> {
    const { agent, paths, mirror, signal, onProgress } = this.#bench;
    const { tree: treeName, inputs, setup, limitSeconds } = this.#benchmark;
    const packages = this.#suite.trees[treeName] ?? [];
    const name = `bench-${this.#suite.suite}-${treeName}-${architecture}`;
    const tree = await this.#treeOf({ agent, paths, name, packages, architecture, mirror, signal, onProgress });
    const layer = await makeLayer(agent, this.#layerName(architecture), tree, signal);
    this.#layers.set(architecture, layer);
    for (const input of inputs)
      await bringInput(input, { agent, layer, architecture, paths, mirror, signal, onProgress });
    for (const argv of setup) await runSetup(agent, layer, argv, { limitMs: limitSeconds * 1000, signal });
  }

  #layerName(architecture: Architecture): string {
    return `${this.#suite.suite}-${this.#benchmark.id}-${architecture}`;
  }

  async sample(arm: Arm): Promise<Sample> {
    if (arm.native) return await this.#take(arm);
    const { translator, cache } = arm.dimensions as { readonly translator: TranslatorName; readonly cache: CacheMode };
    const { modes, signal } = this.#bench;
    const work = this.#layerName('amd64');
    await modes.set(translator, cache !== 'off');
    if (cache === 'cold') await modes.emptyCache(signal);
    // A cold sample, of whichever benchmark, may have emptied the cache that this one wants full.
    const filling: Sample[] = [];
    while (cache === 'warm' && !modes.isFilled(translator, work)) {
      filling.push(await this.#take(arm));
      modes.ran(translator, work);
    }
    const sample = await this.#take(arm);
    if (cache !== 'off') modes.ran(translator, work);
    if (filling.some(({ product }) => product !== sample.product)) throw unlikeFilling();
    return sample;
  }

  async #take(arm: Arm): Promise<Sample> {
    const { agent, signal } = this.#bench;
    const { directory, product, command, expect, limitSeconds } = this.#benchmark;
    const layer = this.#layers.get(architectureOf(arm));
    if (layer === undefined) throw new Error('The benchmark is not prepared for this arm.');
    const limits = { limitMs: limitSeconds * 1000, signal };
    const { result, counts } = await countTranslations(
      this.#bench,
      arm,
      () => takeGuestSample(agent, layer, { directory, product, command }, limits),
      (sample) => sample,
    );
    const { sinceMs: _since, untilMs: _until, ...sample } = result;
    if (expect !== undefined && sample.product !== sha256(expect)) throw unexpected(product ?? 'its output');
    return { ...sample, counts: { ...sample.counts, ...counts } };
  }

  async dispose(): Promise<void> {
    // Also after Ctrl-C, when the session's own signal would end it at once.
    const signal = AbortSignal.timeout(DISPOSE_LIMIT_MS);
    for (const architecture of this.#layers.keys()) {
      await removeLayer(this.#bench.agent, this.#layerName(architecture), signal);
    }
  }
}

const DISPOSE_LIMIT_MS = 60_000;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const unexpected = (what: string): RosettaVmError =>
  new RosettaVmError('E_VERIFY', {
    what: 'The command did not do what the suite expects.',
    why: `The digest of ${what} is another one.`,
    fix: 'Run the command by hand with `rosetta-vm exec --root`; if a translator is wrong, report it.',
  });

const unlikeFilling = (): RosettaVmError =>
  new RosettaVmError('E_VERIFY', {
    what: 'The run made something else than those that filled the cache for it.',
    why: 'The digests differ, although nothing but the cache does.',
    fix: 'A translator or its cache is wrong: report it with the translator’s version.',
  });
