import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { WORKLOADS, withRuns } from '../../../benchmarks/workloads.ts';
import { packageFile } from '../../../host/package-root.ts';

describe('the workloads', () => {
  it('have titles that say how many lines their sources really have', async () => {
    for (const { source, title } of WORKLOADS) {
      if (source === undefined) continue;
      const text = await readFile(packageFile(`examples/${source}`), 'utf8');
      expect(title).toContain(`${text.trimEnd().split('\n').length} lines`);
    }
  });

  it('are run as often as asked, in the modes that they have', () => {
    const long = WORKLOADS.find(({ id }) => id === 'gcc-lz');
    if (long === undefined) throw new Error('there is no long workload');
    expect(withRuns(long, 7).runs).toEqual({ 'no-cache': 7, cold: 7, warm: 7, qemu: 0 });
  });
});
