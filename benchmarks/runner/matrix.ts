/** Which arms a benchmark is measured in. Pure. */
import type { TranslatorName, TranslatorStatus } from '../../guest/protocol.ts';
import { RosettaVmError } from '../../host/errors.ts';
import { suggestKey } from '../../host/spec/suggest.ts';
import type { Arm } from '../session.ts';
import type { Benchmark } from '../suites/schema.ts';

/**
 * - cache `off`: switched off. `cold`: emptied before each sample. `warm`: filled by earlier runs of the same program.
 * - disk: `nvme` and `virtio`, the bus of a data disk in a file; `nbd`, on NVMe from an NBD server of this host.
 */
export const DIMENSIONS = {
  cache: ['off', 'cold', 'warm'],
  translator: ['box64', 'qemu', 'rosetta'],
  disk: ['nvme', 'virtio', 'nbd'],
} as const;
export type Dimension = keyof typeof DIMENSIONS;
export type CacheMode = (typeof DIMENSIONS.cache)[number];
export type DiskMode = (typeof DIMENSIONS.disk)[number];

export interface Matrix {
  readonly cache: readonly CacheMode[];
  /** Empty: the machine's own. */
  readonly translator: readonly TranslatorName[];
  /** Empty: the machine's own. */
  readonly disk: readonly DiskMode[];
}

/** The question that everybody has: what does the cache give? */
export const DEFAULT_MATRIX: Matrix = { cache: ['off', 'warm'], translator: [], disk: [] };

/** Reads `--matrix cache=off,warm`; one that is given replaces the default of its dimension. Throws `E_USAGE`. */
export function parseMatrix(texts: readonly string[]): Matrix {
  let matrix: Matrix = DEFAULT_MATRIX;
  for (const text of texts) {
    const [, dimension = '', list = ''] = /^([^=]*)=(.*)$/.exec(text) ?? [];
    if (!isDimension(dimension)) throw wrong(text, dimension, Object.keys(DIMENSIONS), 'dimension');
    const values = [...new Set(list.split(','))];
    for (const value of values) {
      const known: readonly string[] = DIMENSIONS[dimension];
      if (!known.includes(value)) throw wrong(text, value, known, `value of ${dimension}`);
    }
    matrix = { ...matrix, [dimension]: values };
  }
  return matrix;
}

const isDimension = (text: string): text is Dimension => Object.hasOwn(DIMENSIONS, text);

function wrong(text: string, word: string, known: readonly string[], kind: string): RosettaVmError {
  const meant = suggestKey(word, known);
  return new RosettaVmError('E_USAGE', {
    what: `--matrix cannot be ${JSON.stringify(text)}.`,
    why: `${JSON.stringify(word)} is no ${kind}; these are: ${known.join(', ')}.`,
    fix: meant === undefined ? 'Write it like --matrix cache=off,warm.' : `Did you mean ${JSON.stringify(meant)}?`,
    facts: { flag: '--matrix', value: text, suggestion: meant ?? null },
  });
}

/** What the machine is, as far as the arms depend on it. */
export interface MachineFacts {
  readonly translator: TranslatorName;
  /** How its data disk is attached, as the dimension has it. */
  readonly disk: string;
}

/**
 * The arms of a benchmark, in the order of the matrix; the first translated one is what the others are compared with.
 * qemu-user has no cache, so it has the arm without it alone.
 */
export function armsOf(benchmark: Benchmark, matrix: Matrix, machine: MachineFacts): Arm[] {
  switch (benchmark.kind) {
    case 'command':
      return [
        ...translatedArms(matrix, machine),
        ...(benchmark.native ? [{ native: true, dimensions: {} } satisfies Arm] : []),
      ];
    case 'fio':
      return disksOf(matrix, machine).map((disk): Arm => ({ native: false, dimensions: { disk } }));
    case 'boot':
      return [
        { native: false, dimensions: { start: benchmark.start } },
        { native: true, dimensions: {} },
      ];
    case 'channel':
      return [{ native: false, dimensions: { channel: CHANNELS[benchmark.probe] } }];
  }
}

const CHANNELS = {
  'agent-latency': 'agent',
  'exec-latency': 'exec',
  'exec-download': 'exec',
  'exec-upload': 'exec',
  'forward-download': 'forward',
  'docker-latency': 'docker',
  'docker-download': 'docker',
  'docker-upload': 'docker',
} as const;

const disksOf = (matrix: Matrix, machine: MachineFacts): readonly string[] =>
  matrix.disk.length === 0 ? [machine.disk] : matrix.disk;

/**
 * The disks that machines of their own are needed for: all, as soon as one is not the machine's, so that they are alike in
 * everything else.
 */
export const disksApart = (matrix: Matrix, machine: MachineFacts): readonly DiskMode[] =>
  matrix.disk.some((disk) => disk !== machine.disk) ? matrix.disk : [];

/** Of work that runs through the translator. */
export function translatedArms(matrix: Matrix, machine: MachineFacts): Arm[] {
  const translators = matrix.translator.length === 0 ? [machine.translator] : matrix.translator;
  return translators.flatMap((translator) =>
    (translator === 'qemu' ? (['off'] as const) : matrix.cache).map(
      (cache): Arm => ({ native: false, dimensions: { cache, translator } }),
    ),
  );
}

/**
 * Of a user's own image, where no translator is named: what it costs with each that the guest has in the router's order. Not
 * beside Rosetta, which a Mac's user chose because it is the fastest by far.
 */
export function buildMatrix(
  matrix: Matrix,
  { active, fallbacks = [] }: Pick<TranslatorStatus, 'active' | 'fallbacks'>,
): Matrix {
  if (matrix.translator.length > 0 || active === undefined || active.name === 'rosetta') return matrix;
  return { ...matrix, translator: [active.name, ...fallbacks.map(({ name }) => name)] };
}
