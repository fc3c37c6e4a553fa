import { describe, expect, test } from 'vitest';
import { checkKernel, kernelFor } from '../../../host/plan/kernel.ts';
import type { HostFacts } from '../../../host/plan/make-plan.ts';
import { type MachineSpecInput, parseSpec } from '../../../host/spec/spec.ts';
import { GIB } from '../../../host/spec/units.ts';
import { defaultImageName, KERNEL_SERIES, seriesOf } from '../../../images/kernels.ts';

const LINUX: HostFacts = { platform: 'linux', cpus: 8, memoryBytes: 16 * GIB, macOS: null };
const mac = (major: number, minor: number): HostFacts => ({
  ...LINUX,
  platform: 'darwin',
  macOS: { major, minor, patch: 0 },
});
const kernel = (spec: MachineSpecInput, host: HostFacts) => kernelFor(parseSpec(spec), host);

test('every host gets the newest kernel but a Mac whose Rosetta does not run under it', () => {
  expect(kernel({}, LINUX)).toBe('6.12');
  expect(kernel({}, mac(26, 0))).toBe('6.12');
  expect(kernel({}, mac(15, 3))).toBe('6.1');
  expect(kernel({}, mac(13, 6))).toBe('6.1');
  expect(kernel({ translator: 'box64' }, mac(13, 6))).toBe('6.12');
});

test('the one that the settings name is taken, or refused where it is known to fail', () => {
  expect(kernel({ kernel: '6.1' }, LINUX)).toBe('6.1');
  expect(kernel({ kernel: '6.12' }, mac(14, 6))).toBe('6.12');
  expect(() => kernel({ kernel: '6.12' }, mac(15, 2))).toThrow(expect.objectContaining({ code: 'E_HOST_UNSUPPORTED' }));
});

describe('the kernel of an image that the settings name', () => {
  const check = (spec: MachineSpecInput, host: HostFacts, release: string) => () =>
    checkKernel(parseSpec({ image: 'mine', ...spec }), host, release);

  test.each([
    ['fits', {}, mac(26, 1), '6.12.117+deb13-cloud-arm64'],
    ['is the one asked for', { kernel: '6.1' as const }, LINUX, '6.1.0-50-cloud-arm64'],
    ['is of no series of ours, and nothing is known against it', {}, mac(26, 0), '7.0.1-arm64'],
    ['is of no series of ours, and no Rosetta is wanted', { translator: 'box64' as const }, mac(13, 0), '7.0.1-arm64'],
    ['is an old one of somebody’s own', {}, mac(13, 0), '5.15.0-91-generic'],
    ['does not say its version', {}, mac(13, 0), 'mine'],
  ])('passes when it %s', (_, spec, host, release) => {
    expect(check(spec, host, release)).not.toThrow();
  });

  test('is refused under a Rosetta that fails with it, and when another was asked for', () => {
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    expect(check({}, mac(15, 0), '6.12.1-cloud-arm64')).toThrow(code('E_HOST_UNSUPPORTED'));
    // No recipe here makes these; the table is about kernels, whoever made them.
    expect(check({}, mac(13, 0), '7.0.1-arm64')).toThrow(/Linux 7\.0\.1-arm64.*type 2[89]/s);
    expect(check({}, mac(15, 6), '6.13-rc1')).toThrow(/AT_HWCAP3/);
    expect(check({}, mac(15, 2), '6.11.2')).toThrow(/DT_HASH/);
    expect(check({ kernel: '6.1' }, LINUX, '6.12.1-cloud-arm64')).toThrow(code('E_INVALID'));
  });
});

test('6.1 and 6.12 are told apart, and so are their images', () => {
  expect(seriesOf('6.1.0-50-cloud-arm64')).toBe('6.1');
  expect(seriesOf('6.12.117+deb13-cloud-arm64')).toBe('6.12');
  expect(new Set(KERNEL_SERIES.map(defaultImageName)).size).toBe(KERNEL_SERIES.length);
});
