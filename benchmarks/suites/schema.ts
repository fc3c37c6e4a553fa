/** What a suite's file may say. Strict: an unknown key is an error with a suggestion. */
import { z } from 'zod';
import type { TranslatorName } from '../../guest/protocol.ts';
import { RosettaVmError } from '../../host/errors.ts';
import { suggestKey } from '../../host/spec/suggest.ts';

/** Names become file names, parts of a record's key and words of the command line. */
const id = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'A name has a-z, 0-9 and “-”');
const title = z.string().min(1).max(200);
const guestPath = z
  .string()
  .startsWith('/')
  .max(255)
  .regex(/^[^\0:,]*$/, 'A path here has no “:” and no “,”');
const argv = z.array(z.string().min(1).max(8_000)).min(1).max(100);

const TRANSLATORS = ['box64', 'qemu', 'rosetta'] as const satisfies readonly TranslatorName[];
export const TIERS = ['quick', 'standard', 'full'] as const;
export type Tier = (typeof TIERS)[number];

/** What a benchmark works on; brought into its layer of the tree before it is measured, without network. */
const input = z.union(
  [
    z.strictObject({
      /** Folder or file below examples/. */
      example: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/),
      to: guestPath,
    }),
    z.strictObject({
      /** Upstream sources of a Debian source package, unpacked without their top folder. */
      source: z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/),
      to: guestPath,
    }),
    z.strictObject({
      /** Debian packages, alone, as files; with an index for apt beside. */
      packages: z
        .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/))
        .min(1)
        .max(50),
      to: guestPath,
    }),
  ],
  'An input has `to` and one of `example`, `source` and `packages`',
);
export type Input = z.infer<typeof input>;

const common = {
  id,
  title,
  tier: z.enum(TIERS).describe('Smallest tier that it is part of'),
  limitSeconds: z
    .int()
    .min(1)
    .max(6 * 3600)
    .describe('Longest time of one sample'),
  runs: z.int().min(1).max(1000).optional().describe('Samples an arm and round instead of the tier’s'),
};

const command = z.strictObject({
  kind: z.literal('command'),
  ...common,
  tree: id.describe('Tree of the suite that it runs in'),
  inputs: z.array(input).max(20).default([]),
  setup: z.array(argv).max(10).default([]).describe('Commands run once in the tree, before anything is timed'),
  command: argv,
  directory: guestPath.default('/'),
  warmUps: z.int().min(0).max(10).default(1).describe('Untimed runs in each arm'),
  product: guestPath.optional().describe('File that a run makes, the same in every translated arm; absent: its output'),
  expect: z.string().max(8_000).optional().describe('What that must be, to the byte'),
  native: z.boolean().default(true).describe('Whether the same is measured on arm64, as the limit'),
  cannotRun: z
    .partialRecord(z.enum(TRANSLATORS), z.string().min(1).max(300))
    .default({})
    .describe('Translators that it is not measured in, each with the reason'),
});

const fio = z.strictObject({
  kind: z.literal('fio'),
  ...common,
  tree: id.describe('Tree of the suite that has fio'),
  options: z.record(z.string().regex(/^[a-z_]+$/), z.union([z.string().max(100), z.int().nonnegative()])),
  metric: z.enum(['iops', 'bandwidth']),
});

const boot = z.strictObject({
  kind: z.literal('boot'),
  ...common,
  start: z.enum(['cold']),
});

const channel = z.strictObject({
  kind: z.literal('channel'),
  ...common,
  probe: z.enum([
    'agent-latency',
    'exec-latency',
    'exec-download',
    'exec-upload',
    'forward-download',
    'docker-latency',
    'docker-download',
    'docker-upload',
  ]),
  bytes: z
    .int()
    .min(1)
    .max(4 * 2 ** 30)
    .optional()
    .describe('Amount of a throughput probe'),
});

const benchmark = z.discriminatedUnion('kind', [command, fio, boot, channel]);
export type Benchmark = z.output<typeof benchmark>;
export type CommandBenchmark = Extract<Benchmark, { kind: 'command' }>;
export type FioBenchmark = Extract<Benchmark, { kind: 'fio' }>;
export type BootBenchmark = Extract<Benchmark, { kind: 'boot' }>;
export type ChannelBenchmark = Extract<Benchmark, { kind: 'channel' }>;

export const suiteSchema = z.strictObject({
  suite: id,
  title,
  trees: z
    .record(
      id,
      z
        .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/))
        .min(1)
        .max(200),
    )
    .default({})
    .describe('Debian packages of each tree; their dependencies come along'),
  benchmarks: z.array(benchmark).min(1).max(100),
});
export type Suite = z.output<typeof suiteSchema>;

/** Throws `E_INVALID` with the key that is wrong; `source` names the file. */
export function parseSuite(data: unknown, source: string): Suite {
  const result = suiteSchema.safeParse(data);
  if (!result.success) throw wrongSuite(result.error.issues[0], data, source);
  const suite = result.data;
  const seen = new Set<string>();
  for (const one of suite.benchmarks) {
    if (seen.has(one.id)) throw invalid(source, `benchmarks.${one.id}`, 'Two benchmarks have this name.');
    seen.add(one.id);
    if ('tree' in one && suite.trees[one.tree] === undefined) throw unknownTree(one.tree, suite, source);
  }
  return suite;
}

function unknownTree(tree: string, suite: Suite, source: string): RosettaVmError {
  const meant = suggestKey(tree, Object.keys(suite.trees));
  return invalid(
    source,
    `trees.${tree}`,
    'A benchmark runs in a tree that the file does not describe.',
    meant === undefined ? undefined : `Did you mean ${JSON.stringify(meant)}?`,
  );
}

function wrongSuite(issue: z.core.$ZodIssue | undefined, data: unknown, source: string): RosettaVmError {
  const path = (issue?.path ?? []).map(String).join('.');
  if (issue?.code !== 'unrecognized_keys') return invalid(source, path, issue?.message ?? 'It has another shape.');
  const key = issue.keys[0] ?? '';
  const meant = suggestKey(key, keysAt(issue.path, data));
  return invalid(
    source,
    [path, key].filter((part) => part !== '').join('.'),
    'There is no such key.',
    meant === undefined ? undefined : `Did you mean ${JSON.stringify(meant)}?`,
  );
}

const SHAPES: Readonly<Record<string, z.ZodObject>> = { command, fio, boot, channel };

/** Keys allowed where an unknown one stands: at the top, or in a benchmark of the kind that it says it is. */
function keysAt(path: readonly PropertyKey[], data: unknown): string[] {
  if (path.length === 0) return Object.keys(suiteSchema.shape);
  const [field, index] = path;
  if (field !== 'benchmarks' || typeof index !== 'number' || path.length > 2) return [];
  const kind = (data as { benchmarks: readonly { kind?: unknown }[] }).benchmarks[index]?.kind;
  return Object.keys((typeof kind === 'string' ? SHAPES[kind] : undefined)?.shape ?? {});
}

function invalid(
  source: string,
  key: string,
  why: string,
  fix = 'benchmarks/suites/schema.ts describes what is allowed.',
): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: key === '' ? `${source} is not a suite.` : `${JSON.stringify(key)} in ${source} is not valid.`,
    why,
    fix,
    facts: { source, key },
  });
}
