import { describe, expect, it } from 'vitest';
import { type Measurements, promisedNumbers } from '../../../benchmarks/goals.ts';
import { build, result } from './samples.ts';

const measured: Measurements = {
  results: [
    result('gcc-hello', 'no-cache', 18),
    result('gcc-hello', 'warm', 6),
    result('gcc-hello', 'qemu', 24),
    result('python3-start', 'no-cache', 5.9),
    result('python3-start', 'warm', 2),
  ],
  build,
  quick: false,
  start: { agentReady: [6, 9, 7], bareNode: [5, 4, 5], hostWork: [1.5] },
  version: { version: [0.06], node: [0.04] },
  hostProcessBytes: 90_000_000,
};

const number = (id: string, from: Measurements = measured) => promisedNumbers(from).find((one) => one.id === id);

describe('the promised numbers', () => {
  it('compares medians of the same workload', () => {
    expect(number('gcc-warm')).toMatchObject({ value: 3, met: true });
    expect(number('gcc-qemu')).toMatchObject({ value: 4, met: true });
  });

  it('says that a number just beside its goal is not met', () => {
    expect(number('python3-warm')).toMatchObject({ value: 2.95, met: false });
  });

  it('reaches a goal of at most, and misses one of below, at the bound itself', () => {
    expect(number('version')).toMatchObject({ value: expect.closeTo(1.5), met: true });
    expect(number('up')).toMatchObject({ value: 1.5, met: false });
    expect(number('memory')).toMatchObject({ value: 90, met: false });
  });

  it('counts what could not be measured as not met', () => {
    expect(number('perl-warm')).toMatchObject({ value: null, met: false });
    const unstarted = { ...measured, start: { agentReady: [], bareNode: [], hostWork: [] } };
    expect(number('agent-ready', unstarted)).toMatchObject({ value: null, met: false });
  });

  it('promises nothing about the long file', () => {
    const long = [result('gcc-lz', 'no-cache', 60), result('gcc-lz', 'warm', 40)];
    expect(number('lz-warm', { ...measured, results: long })).toMatchObject({ value: 1.5, goal: null, met: null });
  });

  it('compares the steps of the Docker build', () => {
    expect(number('build-configure')).toMatchObject({ value: 2.5, met: true });
    expect(number('build-configure-qemu')).toMatchObject({ value: 4, met: true });
    expect(number('build-make')).toMatchObject({ value: 2, goal: null, met: null });
  });

  it('wants the cache to be as warm after a restart as before', () => {
    expect(number('build-restarted')).toMatchObject({ value: expect.closeTo(1.05), met: true });
    expect(number('build-recreated')).toMatchObject({ value: 1.5, met: false });
  });

  it('says nothing of what a quick run leaves out', () => {
    const quick = promisedNumbers({ ...measured, quick: true }).map(({ id }) => id);
    expect(quick.filter((id) => id.startsWith('build-'))).toEqual(['build-configure', 'build-configure-qemu']);
  });

  it('does not reach the build’s goals without a build', () => {
    expect(number('build-configure', { ...measured, build: [] })).toMatchObject({ value: null, met: false });
    expect(number('build-whole', { ...measured, build: [] })).toMatchObject({ value: null, met: null });
  });
});
