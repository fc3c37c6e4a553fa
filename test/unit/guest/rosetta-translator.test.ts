/** Rosetta as a translator: how it is found in Apple's share, registered, and what programs are given. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { binfmtLine } from '../../../guest/translators/binfmt.ts';
import { rosetta, routedRosetta } from '../../../guest/translators/rosetta.ts';
import { routerTable } from '../../../guest/translators/router-table.ts';

let share: string;
beforeEach(async () => {
  share = await mkdtemp(path.join(tmpdir(), 'rvm-share-'));
  for (const name of ['rosetta', 'rosettad']) await writeFile(path.join(share, name), name, { mode: 0o755 });
});
afterEach(() => rm(share, { recursive: true, force: true }));

describe('the translator rosetta', () => {
  const config = { name: 'rosetta', tag: 'rosetta', socketPath: '/dev/rvm-rosetta/rosetta.sock' } as const;
  const cache = { enabled: true, mountPoint: '/dev/rvm-cache' };

  it('registers with P only where macOS understands it', async () => {
    const found = await rosetta.find(share);
    const { start } = rosetta;
    if (start.by !== 'kernel') throw new Error('The kernel starts rosetta.');
    const flags = (preserveArgv0: boolean) =>
      binfmtLine(start.binfmt(found, { ...config, preserveArgv0 }))
        .split(':')
        .at(-1);
    expect([flags(true), flags(false)]).toEqual(['POCF', 'OCF']);
  });

  it.each(['rosetta', 'rosettad'])('has another build when %s changes', async (file) => {
    const before = await rosetta.find(share);
    await writeFile(path.join(share, file), 'another');
    expect((await rosetta.find(share)).build).not.toBe(before.build);
    expect(before.build).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is found without a daemon, as before macOS 14', async () => {
    await rm(path.join(share, 'rosettad'));
    expect(await rosetta.find(share)).toMatchObject({ name: 'rosetta' });
  });

  it('gives containers the socket alone, and nothing with the cache off', async () => {
    const found = await rosetta.find(share);
    expect(rosetta.edits(found, config, cache)).toEqual({
      mounts: [{ path: '/dev/rvm-rosetta', readOnly: true }],
      env: {},
      scratch: ['.cache/rosetta'],
    });
    const off = { mounts: [], env: { ROSETTA_DISABLE_AOT: '1' }, scratch: ['.cache/rosetta'] };
    expect(rosetta.edits(found, config, { ...cache, enabled: false })).toEqual(off);
    expect(rosetta.edits(found, { name: 'rosetta', tag: 'rosetta' }, cache)).toEqual(off);
  });

  it('behind the router is started from its share, also in containers, and kept from its cache by a variable', async () => {
    const found = await routedRosetta.find(share);
    expect(routedRosetta.edits(found, config, cache)).toEqual({
      mounts: [
        { path: share, readOnly: true },
        { path: '/dev/rvm-rosetta', readOnly: true },
      ],
      env: {},
      scratch: ['.cache/rosetta'],
    });
    const { start } = routedRosetta;
    if (start.by !== 'router') throw new Error('The router starts it.');
    const table = routerTable(
      [{ name: 'rosetta', program: found.interpreter, start, env: {} }],
      [{ from: 'cache', program: '/bin/cc', reason: '', addedMs: 0 }],
    );
    expect(table.split('\n').slice(1, 4)).toEqual([
      `translator rosetta 2 plain any 2 ${found.interpreter}`,
      'without-cache rosetta ROSETTA_DISABLE_AOT=1',
      'deny cache - /bin/cc',
    ]);
  });

  it('is not found in an empty share', async () => {
    await rm(path.join(share, 'rosetta'));
    // Not by which command it is installed: from macOS 27 on there is none.
    const fix = expect.stringMatching(/^(?!.*softwareupdate).*`rosetta-vm doctor`/);
    await expect(rosetta.find(share)).rejects.toMatchObject({ code: 'E_NOT_FOUND', fix });
  });
});
