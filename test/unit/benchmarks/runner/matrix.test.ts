import { describe, expect, test } from 'vitest';
import {
  armsOf,
  buildMatrix,
  DEFAULT_MATRIX,
  disksApart,
  parseMatrix,
  translatedArms,
} from '../../../../benchmarks/runner/matrix.ts';
import { armName } from '../../../../benchmarks/session.ts';
import { loadSuites } from '../../../../benchmarks/suites/load.ts';
import type { Benchmark } from '../../../../benchmarks/suites/schema.ts';

const MACHINE = { translator: 'box64', disk: 'nvme' } as const;

async function benchmark(kind: Benchmark['kind']): Promise<Benchmark> {
  const all = (await loadSuites()).flatMap(({ benchmarks }) => benchmarks);
  return all.find((one) => one.kind === kind) as Benchmark;
}

const names = async (kind: Benchmark['kind'], texts: readonly string[]): Promise<string[]> =>
  armsOf(await benchmark(kind), parseMatrix(texts), MACHINE).map(armName);

describe('--matrix', () => {
  test('without it, the cache is off and warm, beside the native limit', async () => {
    expect(parseMatrix([])).toBe(DEFAULT_MATRIX);
    expect(await names('command', [])).toEqual(['cache=off,translator=box64', 'cache=warm,translator=box64', 'native']);
  });

  test('dimensions are multiplied, and qemu-user is not measured with a cache that it does not have', async () => {
    expect(await names('command', ['cache=off,cold,warm', 'translator=box64,qemu'])).toEqual([
      'cache=off,translator=box64',
      'cache=cold,translator=box64',
      'cache=warm,translator=box64',
      'cache=off,translator=qemu',
      'native',
    ]);
  });

  test('what no translator touches has no arm of one', async () => {
    expect(await names('fio', ['translator=box64,qemu'])).toEqual(['disk=nvme']);
    expect(await names('boot', [])).toEqual(['start=cold', 'native']);
    expect(await names('channel', [])).toEqual(['channel=agent']);
  });

  test('disks are arms of what measures disks, and of nothing else', async () => {
    expect(await names('fio', ['disk=virtio,nvme,nbd'])).toEqual(['disk=virtio', 'disk=nvme', 'disk=nbd']);
    expect(await names('command', ['disk=virtio'])).toEqual(await names('command', []));
  });

  test('machines of their own are needed for all disks as soon as one is not the machine’s', () => {
    const apart = (text: string) => disksApart(parseMatrix([text]), MACHINE);
    expect(apart('disk=nvme')).toEqual([]);
    expect(disksApart(DEFAULT_MATRIX, MACHINE)).toEqual([]);
    expect(apart('disk=nvme,nbd')).toEqual(['nvme', 'nbd']);
    expect(apart('disk=virtio')).toEqual(['virtio']);
  });

  test.each([
    ['cahce=off', 'Did you mean "cache"?'],
    ['cache=wram', 'Did you mean "warm"?'],
    ['cache', expect.any(String)],
    ['cache=', expect.any(String)],
    ['', expect.any(String)],
  ])('%j is refused', (text, fix) => {
    expect(() => parseMatrix([text])).toThrow(expect.objectContaining({ code: 'E_USAGE', fix }));
  });

  test('a user’s own image is built with each translator that the guest has, of which only box64 has a cache', () => {
    const found = (name: 'box64' | 'rosetta') => ({
      active: { ...{ name, version: '1', build: 'b', interpreter: '', program: '', flags: '' }, proved: true },
      fallbacks: [{ name: 'qemu' as const, version: '1' }],
    });
    const machine = { translator: 'box64', disk: 'nvme' } as const;
    const arms = translatedArms(buildMatrix(DEFAULT_MATRIX, found('box64')), machine);
    expect(arms.map(armName)).toEqual([
      ...['cache=off,translator=box64', 'cache=warm,translator=box64', 'cache=off,translator=qemu'],
    ]);
    const named = parseMatrix(['translator=box64']);
    expect(buildMatrix(named, found('box64'))).toEqual(named);
    expect(buildMatrix(DEFAULT_MATRIX, found('rosetta'))).toEqual(DEFAULT_MATRIX);
  });
});
