import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { calibrationsFolder } from '../../../../benchmarks/runner/bench-folder.ts';
import { keepNoiseFloors, type NoiseFloor, readNoiseFloors } from '../../../../benchmarks/runner/noise-floors.ts';
import { statePaths } from '../../../../host/paths.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { fingerprint } from './samples.ts';

const floor = (share: number): NoiseFloor => ({ floor: share, rounds: 4, runs: 5, date: '2026-11-26T12:00:00.000Z' });

describe('noise floors', () => {
  const place = async () => statePaths({ ROSETTA_VM_HOME: await temporaryFolder() });

  test('add up, the newer of one benchmark counts, and they hold for their kind of machine alone', async () => {
    const paths = await place();
    await keepNoiseFloors(
      paths,
      fingerprint,
      new Map([
        ['a', floor(0.01)],
        ['b', floor(0.02)],
      ]),
    );
    await keepNoiseFloors(paths, fingerprint, new Map([['b', floor(0.03)]]));
    expect(Object.fromEntries(await readNoiseFloors(paths, fingerprint))).toEqual({ a: floor(0.01), b: floor(0.03) });
    expect((await readNoiseFloors(paths, { ...fingerprint, cpu: 'Another' })).size).toBe(0);
    // Which translators ran is told by the arm.
    expect((await readNoiseFloors(paths, { ...fingerprint, translators: {} })).size).toBe(2);
  });

  test('a file that is damaged counts as none, and is replaced', async () => {
    const paths = await place();
    await keepNoiseFloors(paths, fingerprint, new Map([['a', floor(0.01)]]));
    const [name = ''] = await readdir(calibrationsFolder(paths));
    await writeFile(path.join(calibrationsFolder(paths), name), '{"floors":');
    expect((await readNoiseFloors(paths, fingerprint)).size).toBe(0);
    await keepNoiseFloors(paths, fingerprint, new Map([['b', floor(0.02)]]));
    expect([...(await readNoiseFloors(paths, fingerprint)).keys()]).toEqual(['b']);
  });
});
