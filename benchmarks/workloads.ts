/** What is measured, as data: the short processes that a build starts by the thousand, and one longer one. */

/**
 * - `no-cache`: the machine's translator, its cache switched off.
 * - `cold`: the cache on and empty.
 * - `warm`: the cache on and filled by runs of the same program.
 * - `qemu`: qemu-user, which has no cache.
 */
export type Mode = 'no-cache' | 'cold' | 'warm' | 'qemu';

/** Folder, in the amd64 tree, of the sources and of what is compiled. */
export const WORK_DIR = '/tmp/rosetta-vm-demo';

export interface Workload {
  /** Names it in records. */
  readonly id: string;
  readonly title: string;
  /** Program of the amd64 tree, with its arguments. */
  readonly argv: readonly string[];
  /** Source file (below examples/) that is put into {@link WORK_DIR}. */
  readonly source?: string;
  /** What it makes, in {@link WORK_DIR}; absent: its standard output. Must come out the same in every mode. */
  readonly product?: string;
  /** Timed runs in each mode; a long program gets fewer. */
  readonly runs: Readonly<Record<Mode, number>>;
  /** Longest time of one run, ms. */
  readonly limitMs: number;
  /**
   * Whether it runs once untimed before the others, so that no mode alone pays for the first run: the kernel reads the
   * programs, python3 writes its byte code. Not needed after another workload of the same programs.
   */
  readonly warmUp: boolean;
}

/** Emulated by QEMU on a slow host, the longest run takes about two minutes. */
const LIMIT_MS = 10 * 60_000;

const compile = (source: string): readonly string[] => [
  '/usr/bin/gcc',
  '-O2',
  '-c',
  `${WORK_DIR}/${source}`,
  '-o',
  `${WORK_DIR}/${source}.o`,
];

const SHORT: Workload['runs'] = { 'no-cache': 5, cold: 1, warm: 5, qemu: 5 };

export const WORKLOADS: readonly Workload[] = [
  {
    id: 'gcc-hello',
    title: 'gcc -O2 -c, 10 lines',
    argv: compile('hello.c'),
    source: 'hello.c',
    product: 'hello.c.o',
    runs: SHORT,
    limitMs: LIMIT_MS,
    warmUp: true,
  },
  {
    id: 'python3-start',
    title: 'python3 -c',
    argv: ['/usr/bin/python3', '-c', 'import sys; print(sys.platform, 6 * 7)'],
    runs: { ...SHORT, cold: 3 },
    limitMs: LIMIT_MS,
    warmUp: true,
  },
  {
    id: 'perl-start',
    title: 'perl -e',
    argv: ['/usr/bin/perl', '-e', 'print "$^O ", 6 * 7, "\\n"'],
    runs: { ...SHORT, cold: 3 },
    limitMs: LIMIT_MS,
    warmUp: true,
  },
  {
    id: 'gcc-lz',
    title: 'gcc -O2 -c, 448 lines',
    argv: compile('lz.c'),
    source: 'lz.c',
    product: 'lz.c.o',
    runs: { 'no-cache': 3, cold: 1, warm: 3, qemu: 0 },
    limitMs: LIMIT_MS,
    warmUp: false,
  },
];

/**
 * Packages of the amd64 tree that the workloads run in; their dependencies come along. Named one by one rather than
 * through `build-essential`, which brings a C++ compiler and make.
 */
export const TREE_PACKAGES: readonly string[] = [
  'binutils',
  'coreutils',
  'dash',
  'gcc',
  'libc6-dev',
  'perl-base',
  'python3-minimal',
];

/** The workload with this many timed runs in each mode that it has. */
export function withRuns(workload: Workload, count: number): Workload {
  const runs = Object.entries(workload.runs).map(([mode, usual]) => [mode, usual === 0 ? 0 : count]);
  return { ...workload, runs: Object.fromEntries(runs) as Record<Mode, number> };
}
