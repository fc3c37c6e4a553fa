import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { chooseKernel, INCOMPATIBILITIES, incompatibilitiesOf } from '../../../host/plan/mac-kernels.ts';
import { macOSOfDarwin } from '../../../host/plan/macos.ts';
import { KERNEL_SERIES, type KernelFacts, kernelFacts } from '../../../images/kernels.ts';

const macOS = (major: number, minor = 0, patch = 0) => ({ major, minor, patch });
const ours = KERNEL_SERIES.map(kernelFacts);
const kernel = (major: number, minor: number, pageBytes = 4096): KernelFacts => ({
  series: '6.12',
  version: [major, minor],
  pageBytes,
});

describe('the kernel for a Mac', () => {
  it.each([
    [macOS(13, 0), '6.1'],
    [macOS(13, 7), '6.1'],
    [macOS(14, 0), '6.1'],
    [macOS(14, 7), '6.1'],
    [macOS(15, 0), '6.1'],
    [macOS(15, 3, 2), '6.1'],
    [macOS(15, 4), '6.12'],
    [macOS(15, 7, 3), '6.12'],
    [macOS(26, 0), '6.12'],
    [macOS(27, 1), '6.12'],
  ])('of macOS %j is %s', (version, series) => {
    expect(chooseKernel(version, ours)).toBe(series);
    expect(chooseKernel(version, [...ours].reverse())).toBe(series);
  });

  it('may be one of which nobody has told, when there is no other', () => {
    expect(chooseKernel(macOS(14, 7), [kernelFacts('6.12')])).toBe('6.12');
  });

  it.each([
    ['AT_RSEQ', macOS(13, 6), kernelFacts('6.12'), 'vector type 28', 'macOS 14'],
    ['DT_HASH', macOS(15, 3, 2), kernelFacts('6.12'), 'DT_HASH', 'macOS 15.4'],
    ['AT_HWCAP3', macOS(15, 7), kernel(6, 13), 'vector type 29', 'macOS 26'],
    ['pages of 16 KiB', macOS(26, 1), kernel(6, 12, 16_384), 'pages', 'translator: box64'],
  ])('is refused for %s, with the reason and the way out', (_, version, facts, why, fix) => {
    let error: unknown;
    try {
      chooseKernel(version, [facts]);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof RosettaVmError)) throw new Error('it was not refused');
    expect(error.code).toBe('E_HOST_UNSUPPORTED');
    expect(error.what).toContain(`${version.major}.${version.minor}`);
    expect(error.why).toContain(why);
    expect(error.fix).toContain(fix);
  });

  it('is never a broken one, whatever there is', () => {
    const version = fc.record({ major: fc.constantFrom(13, 14, 15, 26, 27), minor: fc.nat(7), patch: fc.nat(3) });
    const kernels = fc.array(
      fc.record({
        series: fc.constant('6.1' as const),
        version: fc.tuple(fc.constant(6), fc.nat(20)),
        pageBytes: fc.constantFrom(4096, 16_384),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(version, kernels, (mac, available) => {
        const isBroken = (one: KernelFacts) =>
          incompatibilitiesOf(mac, one).some(({ verdict }) => verdict === 'broken');
        const named = available.map((one, index) => ({ ...one, series: String(index) as KernelFacts['series'] }));
        try {
          const chosen = named.find(({ series }) => series === chooseKernel(mac, named));
          expect(chosen === undefined || isBroken(chosen)).toBe(false);
        } catch (error) {
          if (!(error instanceof RosettaVmError)) throw error;
          expect(named.every(isBroken)).toBe(true);
        }
      }),
    );
  });
});

it('every row says what is seen, why, and who told', () => {
  for (const row of INCOMPATIBILITIES) {
    expect(row.symptom).not.toBe('');
    expect(row.why).toMatch(/\.$/);
    expect(row.sources.length).toBeGreaterThan(0);
  }
});

describe('macOS by its kernel', () => {
  it.each([
    ['22.6.0', macOS(13, 6)],
    ['23.6.0', macOS(14, 6)],
    ['24.3.0', macOS(15, 3)],
    ['25.0.0', macOS(26, 0)],
    ['26.1.0', macOS(27, 1)],
  ])('Darwin %s', (release, version) => {
    expect(macOSOfDarwin(release)).toEqual(version);
  });

  it.each(['21.6.0', '', 'Darwin', '6.12.1-arm64', '24'])('is refused for %j', (release) => {
    expect(() => macOSOfDarwin(release)).toThrow(RosettaVmError);
  });
});
