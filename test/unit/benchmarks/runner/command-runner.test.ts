/** Commands in a guest that only pretends: what is in its cache, and what a sample would take with it. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ModeSwitch } from '../../../../benchmarks/modes.ts';
import type { Bench, BenchmarkRunner } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { prepareCommand } from '../../../../benchmarks/runner/command-runner.ts';
import type { Arm } from '../../../../benchmarks/session.ts';
import { type CommandBenchmark, parseSuite } from '../../../../benchmarks/suites/schema.ts';
import { ignoreProgress } from '../../../../host/progress.ts';
import { OFF, timed, WARM } from './samples.ts';

const COLD: Arm = { native: false, dimensions: { cache: 'cold', translator: 'box64' } };

const suite = parseSuite(
  {
    suite: 'exec',
    title: 'Programs',
    trees: { small: ['coreutils'] },
    benchmarks: ['one', 'two'].map((id) => ({
      ...{ id, kind: 'command', title: id, tier: 'quick', tree: 'small', command: [`/bin/${id}`], limitSeconds: 10 },
    })),
  },
  'exec.yaml',
);

/** A start takes 2 s without the cache, 4 s when it writes, as the first two of a program do, and 1 s from then on. */
class Guest {
  cache = false;
  readonly starts = new Map<string, number>();
  readonly argvs: (readonly string[])[] = [];
  /** Who the router gives the programs to. */
  readonly execs = { box64: 0, qemu: 0 };
  runsIn: 'box64' | 'qemu' = 'box64';
  /** What a start makes that writes to the cache. */
  writing = 'ab'.repeat(32);

  readonly agent = {
    health: async () => ({ translator: { wanted: 'box64', active: BOX64 } }),
    cacheSwitch: async ({ enabled }: { readonly enabled: boolean }) => {
      this.cache = enabled;
      return { backend: 'dynacache', state: enabled ? 'on' : 'off' };
    },
    cachePrune: async () => this.starts.clear(),
    // One entry a program, which one start in four saves again.
    cacheStats: async () => ({ entries: this.starts.size }),
    cacheActivity: async () => {
      const saves = [...this.starts.values()].some((starts) => starts < 3 || (starts - 1) % 4 === 0);
      return saves ? { newEntries: 1, reusedEntries: 0 } : { newEntries: 0, reusedEntries: 1 };
    },
    execCounts: async () => ({
      counted: true,
      translators: Object.entries(this.execs).map(([name, execs]) => ({ name, execs })),
    }),
    exec: async ({ argv }: { readonly argv: readonly string[] }) => {
      this.argvs.push(argv);
      return {
        stdout: Readable.from([Buffer.from(this.#answer(argv))]),
        stderr: Readable.from([]),
        exit: Promise.resolve({ code: 0, signal: null }),
        close: () => {},
      };
    },
  } as unknown as Bench['agent'];

  #answer(argv: readonly string[]): string {
    const command = argv.at(-1) ?? '';
    if (!argv.some((word) => word.includes('hyperfine'))) return '';
    this.execs[this.runsIn] += 1;
    const seconds = this.#seconds(command);
    const product = seconds === 4 ? this.writing : 'ab'.repeat(32);
    return `# span\n1 2\n# product\n${product}  -\n# hyperfine\n${JSON.stringify({ results: [timed(seconds)] })}\n`;
  }

  #seconds(command: string): number {
    if (!this.cache) return 2;
    const before = this.starts.get(command) ?? 0;
    this.starts.set(command, before + 1);
    return before < 2 ? 4 : 1;
  }
}

const BOX64 = { name: 'box64', build: 'b', proved: true };

async function runners(guest: Guest): Promise<BenchmarkRunner[]> {
  const bench = {
    agent: guest.agent,
    modes: await ModeSwitch.take(guest.agent, true),
    signal: new AbortController().signal,
    onProgress: ignoreProgress,
  } as unknown as Bench;
  const prepare = (benchmark: CommandBenchmark) =>
    prepareCommand(bench, suite, benchmark, [OFF, COLD, WARM], async () => '/data/roots/small');
  return await Promise.all(suite.benchmarks.map((one) => prepare(one as CommandBenchmark)));
}

describe('a warm sample', () => {
  test('finds everything in the cache, whatever was measured before it and in whichever round', async () => {
    const [one, two] = (await runners(new Guest())) as [BenchmarkRunner, BenchmarkRunner];
    const values: number[] = [];
    for (const _round of [1, 2]) {
      for (const runner of [one, two]) {
        for (const arm of [OFF, COLD, WARM, WARM, COLD, OFF]) {
          const { value } = await runner.sample(arm);
          if (arm === WARM) values.push(value);
        }
      }
    }
    expect(values).toEqual(Array.from({ length: 8 }, () => 1));
  });

  test('that makes something else than the runs which filled the cache does not count', async () => {
    const guest = new Guest();
    const [one] = (await runners(guest)) as [BenchmarkRunner];
    guest.writing = 'ef'.repeat(32);
    await expect(one.sample(WARM)).rejects.toMatchObject({ code: 'E_VERIFY' });
  });

  test('fills the cache once as long as nothing empties it', async () => {
    const guest = new Guest();
    const [one] = (await runners(guest)) as [BenchmarkRunner];
    for (const _sample of [1, 2, 3]) await one.sample(WARM);
    expect(guest.starts.get('/bin/one')).toBe(5);
  });
});

test('a sample whose programs the router kept from the arm’s translator does not count', async () => {
  const guest = new Guest();
  const [one] = (await runners(guest)) as [BenchmarkRunner];
  expect((await one.sample(OFF)).counts.execs).toBe(1);
  guest.runsIn = 'qemu';
  await expect(one.sample(OFF)).rejects.toMatchObject({
    code: 'E_VERIFY',
    what: 'Nothing of it ran in box64.',
    facts: { translator: 'box64', ran: ['qemu'] },
  });
});

describe('entries of the cache', () => {
  test('are counted alike whichever start saves them again, so that a gate can hold their number', async () => {
    const [one] = (await runners(new Guest())) as [BenchmarkRunner];
    const counts: object[] = [];
    for (let sample = 0; sample < 8; sample += 1) counts.push((await one.sample(WARM)).counts);
    const { cacheEntriesRead, cacheEntriesWritten } = (await one.sample(COLD)).counts;
    expect(counts).toEqual(counts.map(() => expect.objectContaining({ cacheEntriesRead: 1, cacheEntriesWritten: 0 })));
    expect([cacheEntriesRead, cacheEntriesWritten]).toEqual([0, 1]);
  });
});

describe('what runs in the guest', () => {
  test('reaches no network, setup and samples alike', async () => {
    const guest = new Guest();
    const [one] = (await runners(guest)) as [BenchmarkRunner];
    guest.argvs.length = 0;
    await one.sample(OFF);
    const [argv = []] = guest.argvs;
    expect(argv.slice(0, 3)).toEqual(['/usr/bin/unshare', '--mount', '--net']);
    expect(argv.find((word) => word.includes('hyperfine'))).toMatch(/^set -e; ip link set lo up$/m);
  });
});
