import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeStep, STEP_IDS, stepMedian, timesOf } from '../../../benchmarks/step-times.ts';
import type { BuildStep } from '../../../host/build/steps.ts';
import { packageFile } from '../../../host/package-root.ts';
import { build } from './samples.ts';

const step = (name: string, startedMs?: number, completedMs?: number): BuildStep => ({
  number: 1,
  digest: name,
  name,
  runs: name.includes(' RUN '),
  ...(startedMs === undefined ? {} : { startedMs }),
  ...(completedMs === undefined ? {} : { completedMs }),
  cached: false,
  error: '',
  log: '',
  doneBytes: 0,
  totalBytes: 0,
});

describe('the times of a build’s steps', () => {
  it('are those of the instructions, and of the whole from its first step to its last', () => {
    const times = timesOf([
      step('[internal] load build definition from Dockerfile', 1000, 1500),
      step('[configured 4/4] RUN ./configure', 2000, 14_500),
      step('[built 1/3] RUN make -j"$(nproc)"', 14_500, 50_000),
      step('[built 2/3] RUN make check', 50_000, 55_000),
      step('exporting to image', 55_000, 56_000),
    ]);
    expect(Object.fromEntries(times)).toEqual({ configure: 12.5, make: 35.5, check: 5, whole: 55 });
  });

  it('leave out what did not run to its end', () => {
    const times = timesOf([step('[configured 4/4] RUN ./configure', 2000), step('[built 1/3] RUN make -j2')]);
    expect(times.size).toBe(0);
  });

  it('never add up to more than the whole, for steps one after the other', () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 1e7 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 0, max: 2e12 }), ([first = 0, second = 0, third = 0], begin) => {
        const times = timesOf([
          step('[a 1/3] RUN ./configure', begin, begin + first),
          step('[a 2/3] RUN make -j1', begin + first, begin + first + second),
          step('[a 3/3] RUN make check', begin + first + second, begin + first + second + third),
        ]);
        const { whole = 0, configure = 0, make = 0, check = 0 } = Object.fromEntries(times);
        expect(configure + make + check).toBeCloseTo(whole, 6);
      }),
    );
  });

  it('are found for every instruction that the example’s Dockerfile has for the report', async () => {
    const dockerfile = await readFile(packageFile('examples/wordtally/Dockerfile'), 'utf8');
    const steps = [...dockerfile.matchAll(/^RUN .*$/gm)].map(([line], index) =>
      step(`[built ${index}/9] ${line}`, 0, 1),
    );
    expect([...timesOf(steps).keys()].sort()).toEqual([...STEP_IDS].sort());
  });

  it('have medians, and null where a step was not timed', () => {
    expect(stepMedian([{ step: 'make', mode: 'warm', times: [3, 9, 4] }], 'make', 'warm')).toBe(4);
    expect(stepMedian(build, 'make', 'qemu')).toBeNull();
  });

  it('have a title each', () => {
    expect(new Set(STEP_IDS.map(describeStep)).size).toBe(STEP_IDS.length);
  });
});
