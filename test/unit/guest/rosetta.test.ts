import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { CacheServer } from '../../../guest/cache/cache.ts';
import { rosettad } from '../../../guest/cache/rosettad.ts';
import { binfmtLine } from '../../../guest/translators/binfmt.ts';
import { rosetta } from '../../../guest/translators/rosetta.ts';

const STAND_IN = fileURLToPath(new URL('stand-ins/rosettad.cjs', import.meta.url));
const quiet: PartLog = { info: () => {}, warn: () => {}, error: () => {} };

let directory: string;
let share: string;
let cacheDirectory: string;
let socketPath: string;
let server: CacheServer | undefined;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-rosetta-'));
  share = path.join(directory, 'share');
  cacheDirectory = path.join(directory, 'cache');
  socketPath = path.join(directory, 'rvm-rosetta', 'rosetta.sock');
  await mkdir(share);
  await mkdir(cacheDirectory);
  await copyFile(STAND_IN, path.join(share, 'rosettad'));
  await chmod(path.join(share, 'rosettad'), 0o755);
  await writeFile(path.join(share, 'rosetta'), 'translator', { mode: 0o755 });
  await writeFile(path.join(share, 'configured-path'), socketPath);
});

afterEach(async () => {
  await server?.stop();
  server = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function serve(path = socketPath): Promise<CacheServer> {
  server = await rosettad.serve?.({ directory: cacheDirectory, shareDirectory: share, socketPath: path, log: quiet });
  if (server === undefined) throw new Error('rosettad serves');
  return server;
}

/** What a translated program does: connects to the configured path and sends itself. */
async function translate(program: string): Promise<void> {
  const client = connect(socketPath);
  client.write(program);
  await once(client.resume(), 'end');
}

const starts = async (): Promise<string[]> => (await readFile(path.join(share, 'starts'), 'utf8')).trim().split('\n');

describe('rosettad', () => {
  it('is reached at the configured path, by every user', async () => {
    await serve();
    expect(await readlink(socketPath)).toBe(path.join(cacheDirectory, 'uds/rosetta.sock'));
    expect((await stat(socketPath)).mode & 0o222).toBe(0o222);
    await translate('program');
    const entries = (await readdir(cacheDirectory)).filter((file) => rosettad.isEntry(file));
    expect(entries).toHaveLength(1);
  });

  it('needs no link when the configured path is the one that it binds', async () => {
    socketPath = path.join(cacheDirectory, 'uds', 'rosetta.sock');
    await writeFile(path.join(share, 'configured-path'), socketPath);
    await serve();
    expect((await stat(socketPath)).isSocket()).toBe(true);
    await translate('program');
  });

  it('starts where a daemon that was killed has left its socket', async () => {
    await mkdir(path.join(cacheDirectory, 'uds'));
    const left = createServer().listen(path.join(cacheDirectory, 'uds', 'rosetta.sock'));
    await once(left, 'listening');
    await serve();
    await translate('program');
    left.close();
  });

  it('comes back when it dies', async () => {
    await serve();
    process.kill(Number((await starts())[0]), 'SIGKILL');
    while ((await starts()).length < 2) await sleep(50);
    while (
      !(await translate('program').then(
        () => true,
        () => false,
      ))
    )
      await sleep(50);
  });

  it('is gone after it was stopped, and stays so', async () => {
    const daemon = await serve();
    await daemon.stop();
    await sleep(1200);
    expect(await starts()).toHaveLength(1);
    await expect(translate('program')).rejects.toThrow();
  });

  it('that ends at once is an error, not a wait', async () => {
    await writeFile(path.join(share, 'rosettad'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await expect(serve()).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  });

  it('that is not in the share is told apart', async () => {
    await rm(path.join(share, 'rosettad'));
    await expect(serve()).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

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

  it('has another build when one of its files changes', async () => {
    const before = await rosetta.find(share);
    await writeFile(path.join(share, 'rosettad'), 'another');
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
    });
    const off = { mounts: [], env: { ROSETTA_DISABLE_AOT: '1' } };
    expect(rosetta.edits(found, config, { ...cache, enabled: false })).toEqual(off);
    expect(rosetta.edits(found, { name: 'rosetta', tag: 'rosetta' }, cache)).toEqual(off);
  });

  it('is not found in an empty share', async () => {
    await rm(path.join(share, 'rosetta'));
    await expect(rosetta.find(share)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
