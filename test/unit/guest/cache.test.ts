import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import { dynacache } from '../../../guest/cache/dynacache.ts';
import { CacheService, type CacheTarget } from '../../../guest/cache/service.ts';
import { choosePruned, listEntries, prune, summarize, verify } from '../../../guest/cache/store.ts';
import { temporarySettings } from './agent-harness.ts';

const quiet: PartLog = { info: () => {}, warn: () => {}, error: () => {} };
const LIMIT = 1024 * 1024;
const PAGE = 4096;

/** A file as box64 0.4.3 writes it for a program: a header, a table of blocks, and the blocks. */
function dynacacheFile(program: string, blockSizes: readonly number[]): { name: string; bytes: Buffer } {
  const name = Buffer.from(`${program}\0`);
  const header = Buffer.alloc(Math.ceil((96 + name.length + blockSizes.length * 40) / PAGE) * PAGE);
  header.write('DynaCache\0', 0, 'latin1');
  header.writeUInt16LE(3, 10);
  header.writeBigUInt64LE(0xbc18c80624n, 32);
  header.writeBigUInt64LE(BigInt(PAGE), 40);
  header.writeUInt32LE(name.length - 1, 80);
  header.writeUInt32LE(blockSizes.length, 84);
  name.copy(header, 96);
  blockSizes.forEach((size, i) => {
    header.writeBigUInt64LE(BigInt(size), 96 + name.length + i * 40 + 8);
  });
  let hash = 0;
  for (const byte of name.subarray(0, -1)) hash = (Math.imul(hash, 31) + byte) >>> 0;
  const bytes = Buffer.concat([header, ...blockSizes.map((size) => Buffer.alloc(size, 1))]);
  return { name: `${path.basename(program)}-bc18c80624-${hash}.box64`, bytes };
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-cache-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Adds an entry that was last used `age` seconds ago; returns its file name. */
async function add(folder: string, program: string, sizes: readonly number[] = [PAGE], age = 0): Promise<string> {
  const { name, bytes } = dynacacheFile(program, sizes);
  const file = path.join(folder, name);
  await writeFile(file, bytes);
  const used = new Date(Date.now() - age * 1000);
  await utimes(file, used, used);
  return name;
}

describe('a dynacache folder', () => {
  it('has the name that box64 gives to ls', () => {
    // Seen with box64 0.4.3 on Debian 12.
    expect(dynacacheFile('/usr/bin/ls', [1]).name).toBe('ls-bc18c80624-1007390169.box64');
  });

  it('is summed up by program, largest first', async () => {
    await add(directory, '/usr/bin/ls', [PAGE], 100);
    await add(directory, '/usr/bin/gcc', [PAGE * 3, PAGE]);
    await writeFile(path.join(directory, 'unrelated.txt'), 'x');
    const summary = await summarize(dynacache, directory);
    expect(summary).toMatchObject({ entries: 2, bytes: PAGE * 7 });
    expect(summary.programs.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['/usr/bin/gcc', PAGE * 5],
      ['/usr/bin/ls', PAGE * 2],
    ]);
    expect((summary.newestMs ?? 0) - (summary.oldestMs ?? 0)).toBeGreaterThan(99_000);
  });

  it('is whole when box64 wrote it', async () => {
    await add(directory, '/usr/bin/ls', [PAGE, 100]);
    expect(await verify(dynacache, directory)).toEqual({ checked: 1, corrupt: [] });
  });

  it.each([
    ['is empty', (file: string) => truncate(file, 0)],
    ['was cut short', (file: string) => truncate(file, PAGE + 10)],
    ['was cut inside its header', (file: string) => truncate(file, 50)],
    ['has grown', async (file: string) => writeFile(file, 'more', { flag: 'a' })],
    ['has another signature', async (file: string) => writeFile(file, 'XX', { flag: 'r+' })],
    ['is of zeros', async (file: string) => writeFile(file, Buffer.alloc((await stat(file)).size))],
  ])('has a corrupt entry when a file %s; prune removes it and no other', async (_how, damage) => {
    const bad = await add(directory, '/usr/bin/bad');
    const good = await add(directory, '/usr/bin/good');
    await damage(path.join(directory, bad));
    const found = await verify(dynacache, directory);
    expect(found).toEqual({ checked: 2, corrupt: [{ entry: bad, reason: expect.stringMatching(/^It .*\.$/) }] });
    const result = await prune(dynacache, directory, { keepBytes: LIMIT });
    expect(result).toMatchObject({ removedEntries: 1, removedCorrupt: 1, remainingEntries: 1 });
    expect(await readdir(directory)).toEqual([good]);
  });

  it('has a corrupt entry when a file belongs to another program', async () => {
    const name = await add(directory, '/usr/bin/ls');
    const other = dynacacheFile('/usr/bin/cp', [PAGE]);
    await writeFile(path.join(directory, name), other.bytes);
    expect((await verify(dynacache, directory)).corrupt).toHaveLength(1);
  });

  it('leaves files of a version that is not known to box64', async () => {
    const { name, bytes } = dynacacheFile('/usr/bin/ls', [PAGE]);
    bytes.writeUInt16LE(99, 10);
    await writeFile(path.join(directory, name), bytes);
    expect((await verify(dynacache, directory)).corrupt).toEqual([]);
  });

  it('never makes verify throw, whatever is in a file', async () => {
    const { name, bytes } = dynacacheFile('/usr/bin/ls', [PAGE]);
    const damaged = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(damaged, async (changes) => {
        const copy = Buffer.from(bytes);
        for (const [offset, value] of changes) copy[offset % 140] = value;
        await writeFile(path.join(directory, name), copy);
        await verify(dynacache, directory);
      }),
      { numRuns: 100 },
    );
  });

  it('loses what interrupted writes left, once they are old', async () => {
    const old = path.join(directory, 'ls-1-2.box64.tmp.12.0');
    await writeFile(old, 'x');
    await writeFile(path.join(directory, 'ls-1-2.box64.tmp.13.0'), 'x');
    await utimes(old, 1, 1);
    await prune(dynacache, directory, { keepBytes: LIMIT });
    expect(await readdir(directory)).toEqual(['ls-1-2.box64.tmp.13.0']);
  });
});

describe('prune', () => {
  it('keeps the newest entries within the limit', async () => {
    for (const [i, age] of [50, 10, 30, 20, 40].entries()) await add(directory, `/bin/p${i}`, [PAGE], age);
    const result = await prune(dynacache, directory, { keepBytes: PAGE * 4 });
    expect(result).toEqual({
      removedEntries: 3,
      removedBytes: PAGE * 6,
      removedCorrupt: 0,
      remainingEntries: 2,
      remainingBytes: PAGE * 4,
      dryRun: false,
    });
    expect((await summarize(dynacache, directory)).programs.map(({ name }) => name).sort()).toEqual([
      '/bin/p1',
      '/bin/p3',
    ]);
  });

  it('removes by age, and everything when asked', async () => {
    await add(directory, '/bin/old', [PAGE], 7200);
    await add(directory, '/bin/new', [PAGE], 60);
    const byAge = await prune(dynacache, directory, { keepBytes: LIMIT, olderThanSeconds: 3600 });
    expect(byAge.removedEntries).toBe(1);
    expect((await prune(dynacache, directory, { keepBytes: LIMIT, all: true })).remainingEntries).toBe(0);
  });

  it('says in a dry run what it would do, and does nothing', async () => {
    await add(directory, '/bin/a');
    const result = await prune(dynacache, directory, { keepBytes: LIMIT, all: true, dryRun: true });
    expect(result).toMatchObject({ removedEntries: 1, dryRun: true });
    expect(await listEntries(dynacache, directory)).toHaveLength(1);
  });

  it('chooses the oldest, and no more than the limit needs', () => {
    const entry = fc.record({ file: fc.uuid(), bytes: fc.nat(100), usedMs: fc.nat(1000) });
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ({ file }) => file }), fc.nat(2000), (entries, keepBytes) => {
        const pruned = choosePruned(entries, new Set(), { keepBytes }, 2000);
        const kept = entries.filter((one) => !pruned.includes(one));
        const sum = (list: typeof entries): number => list.reduce((total, { bytes }) => total + bytes, 0);
        expect(sum(kept)).toBeLessThanOrEqual(keepBytes);
        const newestPruned = pruned.at(-1);
        if (newestPruned !== undefined) expect(sum(kept) + newestPruned.bytes).toBeGreaterThan(keepBytes);
        for (const one of pruned) for (const other of kept) expect(one.usedMs).toBeLessThanOrEqual(other.usedMs);
      }),
    );
  });
});

describe('the cache service', () => {
  let settings: GuestSettings;
  let root: string;
  let cache: CacheService;
  const mounts: string[] = [];
  const target: CacheTarget = {
    backend: 'dynacache',
    build: 'b'.repeat(64),
    shareDirectory: '/none',
    socketPath: undefined,
  };

  beforeEach(async () => {
    ({ settings, directory: root } = await temporarySettings());
    mounts.length = 0;
    const run = async (argv: readonly string[]) => {
      mounts.push(argv.join(' '));
      return { code: 0, stdout: '', stderr: '' };
    };
    cache = new CacheService({ enabled: true, limitBytes: PAGE * 4 }, settings, run, quiet);
    cache.useDisk(Promise.resolve(true));
  });
  afterEach(async () => {
    await cache.detach();
    await rm(root, { recursive: true, force: true });
  });

  const folder = (): string => path.join(settings.dataDirectory, 'cache/dynacache', target.build);

  it('makes a folder for the build that every user may write to, and shows it at the mount point', async () => {
    await cache.attach(target);
    expect((await stat(folder())).mode & 0o7777).toBe(0o1777);
    expect(mounts).toEqual([
      `mount --bind ${folder()} ${settings.cacheMountPoint}`,
      `mount -o remount,bind,strictatime,nosuid,nodev ${settings.cacheMountPoint}`,
    ]);
    expect(cache.view()).toEqual({ enabled: true, mountPoint: settings.cacheMountPoint });
    expect(cache.status()).toEqual({ backend: 'dynacache', state: 'on' });
  });

  it('tells when programs must do without it, before its folder goes, and when they may use it again', async () => {
    const told: boolean[] = [];
    cache.onChange(async () => void told.push(cache.view().enabled));
    await cache.attach(target);
    await cache.setEnabled(false);
    await cache.setEnabled(true);
    await cache.detach();
    expect(told).toEqual([false, true, false, true, false]);
  });

  it('tells what was written and what was only read in a time span', async () => {
    await cache.attach(target);
    const old = await add(folder(), '/bin/old', [PAGE]);
    // The birth of a file is the kernel's own; its tick is at most 10 ms.
    await sleep(20);
    const sinceMs = Date.now();
    await sleep(20);
    await add(folder(), '/bin/new', [PAGE, PAGE]);
    await utimes(path.join(folder(), old), new Date(), new Date(0));
    const untilMs = Date.now() + 1;
    expect(await cache.activity({ sinceMs, untilMs })).toEqual({
      backend: 'dynacache',
      state: 'on',
      sinceMs,
      untilMs,
      newEntries: 1,
      newBytes: PAGE * 3,
      reusedEntries: 1,
      programs: [
        { name: '/bin/new', newEntries: 1, newBytes: PAGE * 3, reusedEntries: 0 },
        { name: '/bin/old', newEntries: 0, newBytes: 0, reusedEntries: 1 },
      ],
    });
    expect(await cache.activity({ sinceMs: 1, untilMs: 2 })).toMatchObject({ newEntries: 0, reusedEntries: 0 });
  });

  it('switches off and on', async () => {
    await cache.attach(target);
    expect(await cache.setEnabled(false)).toMatchObject({ state: 'off' });
    expect(cache.view().enabled).toBe(false);
    expect(await cache.setEnabled(true)).toMatchObject({ state: 'on' });
  });

  it('is off for as long as somebody wants it so, and then as its user left it', async () => {
    await cache.attach(target);
    const first = await cache.suspend();
    const second = await cache.suspend();
    expect(cache.status()).toMatchObject({ state: 'off', reason: expect.stringContaining('build') });
    await first();
    expect(await cache.setEnabled(true)).toMatchObject({ state: 'off' });
    expect(cache.view().enabled).toBe(false);
    await second();
    expect(cache.status()).toEqual({ backend: 'dynacache', state: 'on' });
    const third = await cache.suspend();
    await cache.setEnabled(false);
    await third();
    expect(cache.status()).toEqual({ backend: 'dynacache', state: 'off' });
  });

  it('stays off for those who want it so when the translator changes meanwhile', async () => {
    const resume = await cache.suspend();
    await cache.attach(target);
    expect(cache.view().enabled).toBe(false);
    await resume();
    expect(cache.view().enabled).toBe(true);
  });

  it('is off for programs, not an error for them, when there is no data disk', async () => {
    cache.useDisk(Promise.resolve(false));
    await cache.attach(target);
    expect(cache.view().enabled).toBe(false);
    expect(cache.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('data disk') });
    await expect(cache.prune({})).rejects.toMatchObject({ code: 'E_STATE' });
    expect(await cache.stats()).toMatchObject({ entries: 0, state: 'failed' });
  });

  it('has nothing to do for a translator without one', async () => {
    await cache.attach({ ...target, backend: 'none' });
    expect(cache.status()).toMatchObject({ backend: 'none', state: 'off' });
    await expect(cache.verify()).rejects.toMatchObject({ code: 'E_STATE' });
  });

  it('removes damaged and surplus entries before programs see them', async () => {
    await mkdir(folder(), { recursive: true });
    await truncate(path.join(folder(), await add(folder(), '/bin/bad')), 10);
    for (let i = 0; i < 4; i += 1) await add(folder(), `/bin/p${i}`, [PAGE], i);
    await cache.attach(target);
    expect(await cache.stats()).toMatchObject({ entries: 2, bytes: PAGE * 4, limitBytes: PAGE * 4 });
  });

  it('removes an entry that is damaged while it is in use', async () => {
    await cache.attach(target);
    const name = await add(folder(), '/bin/victim');
    await sleep(400);
    expect(await readdir(folder())).toEqual([name]);
    await truncate(path.join(folder(), name), 100);
    while ((await readdir(folder())).length > 0) await sleep(20);
  });

  it('prunes folders of other builds when the limit needs it, and when they are old', async () => {
    const other = (build: string) => path.join(settings.dataDirectory, 'cache/dynacache', build);
    for (const build of ['small', 'big', 'old']) {
      await mkdir(other(build), { recursive: true });
      await add(other(build), '/bin/a', build === 'big' ? [PAGE * 9] : [PAGE]);
    }
    await utimes(other('old'), 1, 1);
    await cache.attach(target);
    await cache.prune({});
    expect((await readdir(path.dirname(folder()))).sort()).toEqual([target.build, 'small']);
    expect(await readFile(path.join(other('small'), dynacacheFile('/bin/a', []).name))).toHaveLength(PAGE * 2);
  });
});
