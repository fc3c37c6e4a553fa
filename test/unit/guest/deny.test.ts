import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartLog } from '../../../guest/agent/log.ts';
import { parseDenyAdd, parseDenyRemove } from '../../../guest/agent/requests.ts';
import { DenyService } from '../../../guest/cache/deny.ts';
import { MAX_DENY_ROWS } from '../../../guest/translation-protocol.ts';

let directory: string;
let changes: number;
let errors: string[];
let deny: DenyService;

const log: PartLog = { info: () => {}, warn: () => {}, error: (message) => void errors.push(message) };
const service = (): DenyService =>
  new DenyService(
    directory,
    async () => {
      changes += 1;
    },
    log,
  );

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-deny-'));
  changes = 0;
  errors = [];
  deny = service();
  await deny.load(Promise.resolve(true));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const LD = { program: '/usr/bin/ld', from: 'cache', reason: 'crashed' } as const;

describe('the deny list', () => {
  it('keeps rows on the data disk, and tells of every change', async () => {
    const { rows } = await deny.add(LD);
    expect(rows).toEqual([{ ...LD, addedMs: expect.any(Number) }]);
    await deny.add({ buildId: 'ab'.repeat(20), from: 'box64', reason: 'x' });
    expect(changes).toBe(2);
    const next = service();
    await next.load(Promise.resolve(true));
    expect(next.list()).toEqual(deny.list());
    expect(changes).toBe(3);
    expect(await readdir(directory)).toEqual(['deny.json']);
  });

  it('has one row for a program and what it is kept from: the newest', async () => {
    await deny.add(LD);
    await deny.add({ ...LD, from: 'box64' });
    await deny.add({ ...LD, reason: 'again' });
    expect(deny.list().rows.map(({ from, reason }) => [from, reason])).toEqual([
      ['box64', 'crashed'],
      ['cache', 'again'],
    ]);
  });

  it('loses the rows that are removed, and says when there is none', async () => {
    await deny.add(LD);
    await deny.add({ ...LD, from: 'box64' });
    await deny.add({ ...LD, buildId: 'ab' });
    expect((await deny.remove({ program: LD.program, from: 'box64' })).rows).toHaveLength(2);
    expect((await deny.remove({ program: LD.program })).rows).toMatchObject([{ buildId: 'ab' }]);
    await expect(deny.remove({ program: LD.program })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('keeps every change when many come at once', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => deny.add({ ...LD, program: `/bin/p${i}` })));
    expect(JSON.parse(await readFile(path.join(directory, 'deny.json'), 'utf8'))).toHaveLength(20);
  });

  it('is bounded: the router reads all of it whenever a program starts', async () => {
    const rows = Array.from({ length: MAX_DENY_ROWS }, (_, i) => ({ ...LD, program: `/bin/p${i}`, addedMs: 1 }));
    await writeFile(path.join(directory, 'deny.json'), JSON.stringify(rows));
    const full = service();
    await full.load(Promise.resolve(true));
    await expect(full.add(LD)).rejects.toMatchObject({ code: 'E_SIZE' });
    expect((await full.add({ ...LD, program: '/bin/p7' })).rows).toHaveLength(MAX_DENY_ROWS);
    const long = (i: number): string => `/${String(i).padEnd(4000, 'x')}`;
    for (let i = 0; i < 15; i += 1) await deny.add({ ...LD, program: long(i) });
    await expect(deny.add({ ...LD, program: long(99).padEnd(6000, 'x') })).rejects.toMatchObject({ code: 'E_SIZE' });
  });

  it.each([
    ['is no JSON', '{'],
    ['is no list', '{}'],
    [
      'has a path that would be two lines of the router’s table',
      JSON.stringify([{ ...LD, program: '/a\nend', addedMs: 1 }]),
    ],
    ['has a row without a program', JSON.stringify([{ from: 'cache', reason: 'x', addedMs: 1 }])],
  ])('counts as empty, and says so, when its file %s', async (_how, content) => {
    await writeFile(path.join(directory, 'deny.json'), content);
    const damaged = service();
    await damaged.load(Promise.resolve(true));
    expect(damaged.list()).toEqual({ rows: [] });
    expect(errors).toHaveLength(1);
    expect((await damaged.add(LD)).rows).toHaveLength(1);
  });

  it('cannot be changed without a data disk', async () => {
    const without = service();
    await without.load(Promise.resolve(false));
    await expect(without.add(LD)).rejects.toMatchObject({ code: 'E_STATE' });
  });
});

describe('requests about it', () => {
  it.each([
    [{ from: 'cache', reason: 'x' }],
    [{ program: 'relative', from: 'cache', reason: 'x' }],
    [{ program: '/a\nb', from: 'cache', reason: 'x' }],
    [{ buildId: 'ABCD', from: 'cache', reason: 'x' }],
    [{ buildId: 'abc', from: 'cache', reason: 'x' }],
    [{ buildId: 'ab'.repeat(33), from: 'cache', reason: 'x' }],
    [{ program: '/a', from: 'fex', reason: 'x' }],
    [{ program: '/a', from: 'cache', reason: '' }],
    [{ program: '/a', from: 'cache', reason: 'x'.repeat(256) }],
  ])('are refused when they are odd: %j', (body) => {
    expect(() => parseDenyAdd(body)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });

  it('name a program by path, build-id or both', () => {
    expect(parseDenyAdd({ program: '/a b', buildId: 'ab12', from: 'qemu', reason: 'x', more: 1 })).toEqual({
      program: '/a b',
      buildId: 'ab12',
      from: 'qemu',
      reason: 'x',
    });
    expect(parseDenyRemove({ buildId: 'ab12' })).toEqual({ buildId: 'ab12' });
  });
});
