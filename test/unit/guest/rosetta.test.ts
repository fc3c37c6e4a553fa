import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, statSync } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../../guest/agent/command.ts';
import type { PartLog } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import type { CacheServer } from '../../../guest/cache/cache.ts';
import { rosettad } from '../../../guest/cache/rosettad.ts';
import { CacheService, type CacheTarget } from '../../../guest/cache/service.ts';
import { prune, verify } from '../../../guest/cache/store.ts';
import { temporarySettings } from './agent-harness.ts';

const run = promisify(execFile);
const quiet: PartLog = { info: () => {}, warn: () => {}, error: () => {} };

const folder = mkdtempSync(path.join(tmpdir(), 'rvm-rosettad-'));
const STAND_IN = path.join(folder, 'rosettad');
beforeAll(async () => {
  await run('cc', ['-O1', '-o', STAND_IN, fileURLToPath(new URL('../../stand-in/rosettad.c', import.meta.url))]);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

let directory: string;
let share: string;
let cacheDirectory: string;
let socketPath: string;
let server: CacheServer | undefined;
/** What the daemon's owner was told, in order. */
let news: string[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-rosetta-'));
  share = path.join(directory, 'share');
  cacheDirectory = path.join(directory, 'cache');
  socketPath = path.join(directory, 'rvm-rosetta', 'rosetta.sock');
  news = [];
  await mkdir(share);
  await mkdir(cacheDirectory);
  await copyFile(STAND_IN, path.join(share, 'rosettad'));
  await writeFile(path.join(share, 'rosetta'), 'translator', { mode: 0o755 });
  await writeFile(path.join(share, 'configured-path'), socketPath);
});

afterEach(async () => {
  await server?.stop();
  server = undefined;
  await rm(directory, { recursive: true, force: true });
});

/** A link stands for the bind mount, which not everybody may make. */
async function serve(): Promise<CacheServer> {
  const shown = path.dirname(socketPath);
  server = await rosettad.serve?.({
    directory: cacheDirectory,
    shareDirectory: share,
    socketPath,
    log: quiet,
    expose: async (source) => {
      await rm(shown, { recursive: true, force: true });
      await symlink(source, shown);
    },
    onDown: async (reason) => void news.push(reason),
    onUp: async () => void news.push('up'),
  });
  if (server === undefined) throw new Error('rosettad serves');
  return server;
}

/** What a translated program does: asks at the configured path for the translation of `program`. */
async function translate(program = '/bin/sh'): Promise<string> {
  return (await run(path.join(share, 'rosettad'), ['client', program])).stdout.trim();
}

const starts = async (): Promise<number[]> =>
  (await readFile(path.join(share, 'starts'), 'utf8')).trim().split('\n').map(Number);
const entries = async (): Promise<string[]> => (await readdir(cacheDirectory)).filter((file) => rosettad.isEntry(file));

describe('rosettad', () => {
  it('is reached at the configured path, by every user, and keeps what it translated', async () => {
    await serve();
    expect((await stat(socketPath)).mode & 0o222).toBe(0o222);
    expect([await translate(), await translate()]).toEqual(['translated', 'hit']);
    expect(await entries()).toHaveLength(1);
    expect(await verify(rosettad, cacheDirectory)).toEqual({ checked: 1, corrupt: [] });
  });

  it('serves programs of another user, who can put nothing into its folder', async (test) => {
    // Only root may become somebody else.
    if (process.getuid?.() !== 0) return test.skip();
    await chmod(directory, 0o755);
    await chmod(cacheDirectory, rosettad.directoryMode);
    await serve();
    const nobody = { uid: 65_534, gid: 65_534 };
    const client = await run(path.join(share, 'rosettad'), ['client', '/bin/sh'], nobody);
    expect(client.stdout.trim()).toBe('translated');
    for (const folder of [cacheDirectory, path.join(cacheDirectory, 'uds')]) {
      await expect(run('touch', [path.join(folder, `${'f'.repeat(64)}.aotcache`)], nobody)).rejects.toThrow('denied');
      await expect(run('ls', [folder], nobody)).rejects.toThrow('denied');
    }
  });

  it('is reached just so when it binds the configured path itself, as it may one day', async () => {
    await writeFile(path.join(share, 'binds-configured'), '');
    await serve();
    expect([await translate(), await translate()]).toEqual(['translated', 'hit']);
  });

  it('is up when it listens, not when its socket is there', async () => {
    await writeFile(path.join(share, 'listens-late'), '');
    await serve();
    expect(await translate()).toBe('translated');
  });

  it.each(['uds', 'configured'])('starts where one that was killed has left its socket (%s)', async (which) => {
    await mkdir(path.join(cacheDirectory, 'uds'));
    const killed = spawn(path.join(share, 'rosettad'), ['daemon', cacheDirectory]);
    await expect.poll(() => readdir(path.join(cacheDirectory, 'uds'))).toEqual(['rosetta.sock']);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    if (which === 'configured') await writeFile(path.join(share, 'binds-configured'), '');
    await serve();
    expect(await translate()).toBe('translated');
  });

  it('comes back when it dies; meanwhile programs find no socket, and its owner knows', async () => {
    await serve();
    process.kill((await starts())[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(news).toEqual(['rosettad ended: SIGKILL']), 5_000);
    expect(await translate()).toBe('none');
    await vi.waitFor(() => expect(news).toEqual(['rosettad ended: SIGKILL', 'up']), 5_000);
    expect(await translate()).toBe('translated');
    expect(await starts()).toHaveLength(2);
  });

  it('is tried again, later and later, as long as it ends at once', async () => {
    await serve();
    await writeFile(path.join(share, 'configured-path'), '');
    process.kill((await starts())[0] ?? 0, 'SIGKILL');
    await vi.waitFor(async () => expect((await starts()).length).toBeGreaterThanOrEqual(3), 10_000);
    expect(news).toEqual(['rosettad ended: SIGKILL']);
    await writeFile(path.join(share, 'configured-path'), socketPath);
    await vi.waitFor(() => expect(news.at(-1)).toBe('up'), 10_000);
    expect(await translate()).toBe('translated');
  });

  it('is gone after it was stopped, also while it waits to come back, with its socket', async () => {
    const daemon = await serve();
    process.kill((await starts())[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(news).toHaveLength(1), 5_000);
    await daemon.stop();
    expect(await starts()).toHaveLength(1);
    expect(await readdir(path.join(cacheDirectory, 'uds'))).toEqual([]);
    expect(await translate()).toBe('none');
  });

  it('that ends at its first start is no wait, leaves nothing running, and serves at the second', async () => {
    await writeFile(path.join(share, 'configured-path'), '');
    await serve();
    expect(news).toEqual([expect.stringMatching(/does not serve .* exit status 64/)]);
    const [pid = 0] = await starts();
    expect(() => process.kill(pid, 0)).toThrow();
    await writeFile(path.join(share, 'configured-path'), socketPath);
    await vi.waitFor(() => expect(news.slice(1)).toEqual(['up']), 10_000);
    expect(await translate()).toBe('translated');
  });

  it.each([
    ['left from before', async (uds: string) => void (await mkdir(uds, { mode: 0o700 }))],
    ['made private by the daemon', () => writeFile(path.join(share, 'private-folder'), '')],
  ])('is reached by every user through a folder %s', async (_how, prepare) => {
    const uds = path.join(cacheDirectory, 'uds');
    await prepare(uds);
    await serve();
    expect([uds, socketPath].map((file) => statSync(file).mode & 0o777)).toEqual([0o711, 0o766]);
  });

  it('that is not in the share is told apart: this host cannot have the cache', async () => {
    await rm(path.join(share, 'rosettad'));
    await expect(serve()).rejects.toMatchObject({ code: 'E_HOST_UNSUPPORTED' });
  });

  it('goes on when its disk is full, and keeps nothing that is cut', async (test) => {
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', cacheDirectory]).then(
      () => true,
      () => false,
    );
    // Only root may mount.
    if (!mounted) return test.skip();
    try {
      await serve();
      expect(await translate(STAND_IN)).toBe('translated');
      expect(await translate(process.execPath)).toBe('refused');
      expect(await entries()).toHaveLength(1);
      expect(await translate(STAND_IN)).toBe('hit');
      await prune(rosettad, cacheDirectory, { keepBytes: 0 });
      expect(await translate(STAND_IN)).toBe('translated');
      expect(news).toEqual([]);
    } finally {
      await server?.stop();
      server = undefined;
      await run('umount', ['-l', cacheDirectory]);
    }
  });
});

describe('the cache with rosettad', () => {
  const LIMIT = 1024 * 1024 * 1024;
  const build = 'b'.repeat(64);
  let settings: GuestSettings;
  let root: string;
  let cache: CacheService;
  const target = (changes: Partial<CacheTarget> = {}): CacheTarget => ({
    backend: 'rosettad',
    build,
    shareDirectory: share,
    socketPath,
    ...changes,
  });
  const kept = async (name = build): Promise<string[]> =>
    (await readdir(path.join(settings.dataDirectory, 'cache/rosettad', name))).filter((file) => rosettad.isEntry(file));

  beforeEach(async (test) => {
    ({ settings, directory: root } = await temporarySettings());
    cache = new CacheService({ enabled: true, limitBytes: LIMIT }, settings, runCommand, quiet);
    cache.useDisk(Promise.resolve(true));
    await mkdir(settings.cacheMountPoint);
    const { code } = await runCommand(['mount', '--bind', root, settings.cacheMountPoint], 5_000);
    // Only root may mount.
    if (code !== 0) return test.skip();
    await runCommand(['umount', settings.cacheMountPoint], 5_000);
  });
  afterEach(async () => {
    await cache.detach();
    await rm(root, { recursive: true, force: true });
  });

  it('keeps translations on the data disk, by build, and shows the daemon’s folder at the configured path', async () => {
    await cache.attach(target());
    expect(cache.status()).toEqual({ backend: 'rosettad', state: 'on' });
    expect([await translate(), await translate()]).toEqual(['translated', 'hit']);
    expect(await kept()).toHaveLength(1);
    expect(await cache.stats()).toMatchObject({ entries: 1, build });
    expect((await lstat(socketPath)).isSocket()).toBe(true);

    const other = 'c'.repeat(64);
    await cache.attach(target({ build: other }));
    expect(await translate()).toBe('translated');
    expect([await kept(), await kept(other)].map(({ length }) => length)).toEqual([1, 1]);
    await cache.detach();
    expect(await translate()).toBe('none');
  });

  it('is off for as long as somebody wants it so', async () => {
    await cache.attach(target());
    const resume = await cache.suspend();
    expect(await translate()).toBe('none');
    await resume();
    expect(await translate()).toBe('translated');
  });

  it('is pruned while the daemon rests, and only when something has to go', async () => {
    await cache.attach(target());
    await translate();
    await cache.prune({});
    expect(await starts()).toHaveLength(1);
    expect(await cache.prune({ all: true })).toMatchObject({ removedEntries: 1, remainingEntries: 0 });
    expect(await starts()).toHaveLength(2);
    expect(await translate()).toBe('translated');
  });

  /** Prunes all of a cache that is on; `act` is called while the daemon rests. */
  async function pruneWith(act: () => void): Promise<void> {
    const old = path.join(settings.dataDirectory, 'cache/rosettad/old');
    await mkdir(old, { recursive: true });
    await utimes(old, 1, 1);
    const info: PartLog['info'] = (text) => {
      if (text === 'Translations of another build were removed.') act();
    };
    cache = new CacheService({ enabled: true, limitBytes: LIMIT }, settings, runCommand, { ...quiet, info });
    cache.useDisk(Promise.resolve(true));
    await cache.attach(target());
    await translate();
    await cache.prune({ all: true });
  }

  it('stays in reach of a container that starts while it is pruned', async () => {
    const container = path.join(root, 'container');
    await mkdir(container);
    try {
      // As the runc shim does it.
      await pruneWith(() => void execFileSync('mount', ['--bind', path.dirname(socketPath), container]));
      expect(await starts()).toHaveLength(2);
      expect(await readdir(container)).toEqual(['rosetta.sock']);
      await cache.detach();
      // Another translator's containers get nothing of it.
      expect(await readdir(path.dirname(socketPath))).toEqual([]);
    } finally {
      await runCommand(['umount', '-l', container], 5_000);
    }
  });

  it('is not served after a pruning during which it was switched off', async () => {
    let switched: Promise<unknown> | undefined;
    await pruneWith(() => {
      switched = cache.setEnabled(false);
    });
    await switched;
    expect(cache.status()).toEqual({ backend: 'rosettad', state: 'off' });
    expect(await translate()).toBe('none');
  });

  it('comes on by itself when only its first start failed', async () => {
    await writeFile(path.join(share, 'configured-path'), '');
    await cache.attach(target());
    expect(cache.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('exit status 64') });
    await writeFile(path.join(share, 'configured-path'), socketPath);
    await vi.waitFor(() => expect(cache.status()).toEqual({ backend: 'rosettad', state: 'on' }), 10_000);
    expect(await translate()).toBe('translated');
  });

  it('is off, not failed, when it is switched off while its daemon is dead', async () => {
    await writeFile(path.join(share, 'configured-path'), '');
    await cache.attach(target());
    expect(await cache.setEnabled(false)).toEqual({ backend: 'rosettad', state: 'off' });
    const resume = await cache.suspend();
    await cache.setEnabled(true);
    expect(cache.status()).toMatchObject({ state: 'off', reason: expect.stringContaining('build') });
    await resume();
    expect(cache.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('exit status 64') });
  });

  it('says so while its daemon is dead', async () => {
    const views: boolean[] = [];
    cache.onChange(async () => void views.push(cache.view().enabled));
    await cache.attach(target());
    process.kill((await starts())[0] ?? 0, 'SIGKILL');
    await vi.waitFor(
      () => expect(cache.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('SIGKILL') }),
      5_000,
    );
    await vi.waitFor(() => expect(cache.status()).toEqual({ backend: 'rosettad', state: 'on' }), 5_000);
    expect(views.slice(-3)).toEqual([true, false, true]);
  });

  it.each([
    ['has no daemon', async () => void (await rm(path.join(share, 'rosettad'))), {}, /rosettad/],
    ['was told of no socket', async () => {}, { socketPath: undefined }, /macOS 14/],
  ])('is off, which is no failure, where the share %s', async (_what, prepare, changes, reason) => {
    await prepare();
    await cache.attach(target(changes));
    expect(cache.status()).toEqual({ backend: 'rosettad', state: 'off', reason: expect.stringMatching(reason) });
    expect(cache.view().enabled).toBe(false);
  });
});

describe('entries of rosettad', () => {
  it('go by their age when there are too many', async () => {
    const names = ['a', 'b', 'c'].map((digit) => `${digit.repeat(64)}.aotcache`);
    for (const [index, name] of names.entries()) {
      await writeFile(path.join(cacheDirectory, name), Buffer.alloc(1000));
      await utimes(path.join(cacheDirectory, name), index + 1, index + 1);
    }
    await prune(rosettad, cacheDirectory, { keepBytes: 2000 });
    expect((await entries()).sort()).toEqual(names.slice(1));
  });

  it('are damaged when they stay empty, and may be empty while they are made', async () => {
    const [old, fresh] = [`${'a'.repeat(64)}.aotcache`, `${'b'.repeat(64)}.aotcache`];
    for (const name of [old, fresh]) await writeFile(path.join(cacheDirectory, name), '');
    await utimes(path.join(cacheDirectory, old), 1, 1);
    expect(await verify(rosettad, cacheDirectory)).toEqual({
      checked: 2,
      corrupt: [{ entry: old, reason: 'It is empty.' }],
    });
  });
});
