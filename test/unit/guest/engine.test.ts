import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../../guest/agent/command.ts';
import { Log } from '../../../guest/agent/log.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import { daemonConfig } from '../../../guest/engine/daemon-config.ts';
import { Engine } from '../../../guest/engine/engine.ts';
import { EngineLog } from '../../../guest/engine/engine-log.ts';
import { deferred } from '../../../host/deferred.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { temporarySettings } from './agent-harness.ts';

const CONFIG = { enabled: true, buildCacheBytes: 5_000_000 };
/** Starting Node takes a while on a loaded computer. */
const PATIENCE = { timeout: 15_000, interval: 20 };

/**
 * Stands for dockerd: it reads its configuration, writes its pid file, serves the two questions of the agent, and does
 * what the file `behave` beside it says.
 */
const DOCKERD = `#!/usr/bin/env node
const fs = require('node:fs');
const http = require('node:http');
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const config = JSON.parse(fs.readFileSync(option('--config-file'), 'utf8'));
fs.writeFileSync(option('--pidfile'), String(process.pid));
const behave = fs.existsSync(__dirname + '/behave') ? fs.readFileSync(__dirname + '/behave', 'utf8') : '';
console.error('time="now" level=info msg="Starting up"');
console.error('time="now" level=info PATH=' + process.env.PATH);
if (behave === 'fail') {
  console.error('failed to start daemon: no such storage driver');
  process.exit(1);
}
const socket = config.hosts[0].slice('unix://'.length);
fs.rmSync(socket, { force: true });
http.createServer((request, response) => {
  if (request.url === '/version') return response.end('{"Version":"99.1"}');
  response.writeHead(200);
  if (behave === 'prune') response.write('{"Action":"prune"}\\n');
  else response.flushHeaders();
}).listen(socket);
process.on('SIGTERM', () => { console.error('stopped'); process.exit(0); });
`;

interface Bench {
  readonly settings: GuestSettings;
  readonly directory: string;
  /** Programs that the engine ran through the agent's runner. */
  readonly ran: string[][];
  make(): Engine;
  behave(how: string): Promise<void>;
  pid(): Promise<number>;
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function bench(): Promise<Bench> {
  const { settings, directory } = await temporarySettings();
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  await writeFile(path.join(directory, 'dockerd'), DOCKERD);
  await chmod(path.join(directory, 'dockerd'), 0o755);
  const ran: string[][] = [];
  const log = new Log(settings.logFile);
  cleanups.push(() => log.flush());
  return {
    settings,
    directory,
    ran,
    make: () => {
      const run: typeof runCommand = (argv, limit) => {
        ran.push([...argv]);
        return argv[0] === 'fstrim' ? Promise.resolve({ code: 0, stdout: '', stderr: '' }) : runCommand(argv, limit);
      };
      const engine = new Engine(CONFIG, settings, run, log.part('engine'));
      cleanups.push(() => engine.stop());
      return engine;
    },
    behave: (how) => writeFile(path.join(directory, 'behave'), how),
    pid: async () => Number(await readFile(path.join(settings.runDirectory, 'engine', 'dockerd.pid'), 'utf8')),
  };
}

const becomes = (engine: Engine, status: object): Promise<void> =>
  vi.waitFor(() => expect(engine.status()).toMatchObject(status), PATIENCE);

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe('the engine', () => {
  it('starts once the data disk is there, and tells Docker’s version', async () => {
    const { make } = await bench();
    const engine = make();
    const disk = deferred<boolean>();
    engine.start(disk.promise);
    expect(engine.status()).toEqual({ state: 'starting', restarts: 0 });
    disk.resolve(true);
    await becomes(engine, { state: 'ready', version: '99.1', restarts: 0 });
  });

  it('is off when the machine does without it', async () => {
    const { settings, directory } = await bench();
    const engine = new Engine(
      { ...CONFIG, enabled: false },
      settings,
      runCommand,
      new Log(settings.logFile).part('engine'),
    );
    engine.start(Promise.resolve(true));
    await engine.stop();
    expect(engine.status()).toEqual({ state: 'off', restarts: 0 });
    expect(existsSync(path.join(directory, 'run/engine'))).toBe(false);
  });

  it('fails, and starts nothing, without the data disk', async () => {
    const { make, directory } = await bench();
    const engine = make();
    engine.start(Promise.resolve(false));
    await becomes(engine, { state: 'failed', reason: expect.stringContaining('data disk') });
    expect(existsSync(path.join(directory, 'run/engine'))).toBe(false);
  });

  it('is started again when it is killed', async () => {
    const { make, pid } = await bench();
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, { state: 'ready' });
    const first = await pid();
    process.kill(first, 'SIGKILL');
    await becomes(engine, { state: 'failed', reason: 'It was ended by SIGKILL.' });
    await becomes(engine, { state: 'ready', restarts: 1 });
    expect(await pid()).not.toBe(first);
  });

  it('says why it does not start, in Docker’s own words, and gets well by itself', async () => {
    const { make, behave } = await bench();
    await behave('fail');
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, {
      state: 'failed',
      reason: 'It ended with status 1. It said: failed to start daemon: no such storage driver',
    });
    await behave('');
    await becomes(engine, { state: 'ready' });
  });

  it('says that the program is missing', async () => {
    const { make, directory } = await bench();
    await rm(path.join(directory, 'dockerd'));
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, { state: 'failed', reason: expect.stringContaining('ENOENT') });
  });

  it('is taken up by the next agent, which notices its end as well', async () => {
    const { make, pid } = await bench();
    const first = make();
    first.start(Promise.resolve(true));
    await becomes(first, { state: 'ready' });
    const before = await pid();

    const second = make();
    second.start(Promise.resolve(true));
    await becomes(second, { state: 'ready', restarts: 0 });
    expect(await pid()).toBe(before);

    await first.stop();
    expect(isAlive(before)).toBe(false);
    await becomes(second, { state: 'ready', restarts: 1 });
  });

  it('is not confused by a pid file whose number is another process’s', async () => {
    const { make, pid, settings } = await bench();
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, { state: 'ready' });
    await engine.stop();
    await writeFile(path.join(settings.runDirectory, 'engine/dockerd.pid'), String(process.pid));
    const next = make();
    next.start(Promise.resolve(true));
    await becomes(next, { state: 'ready' });
    expect(await pid()).not.toBe(process.pid);
  });

  it('ends with SIGTERM, so that containers end in order, and stays ended', async () => {
    const { make, pid, settings } = await bench();
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, { state: 'ready' });
    const running = await pid();
    await engine.stop();
    expect(isAlive(running)).toBe(false);
    expect(await readFile(settings.engineLogFile, 'utf8')).toContain('stopped');
  });

  it('finds the shim before the real runc, and does without one', async () => {
    const { make, settings } = await bench();
    const engine = make();
    engine.start(Promise.resolve(true));
    await becomes(engine, { state: 'ready' });
    const programs = path.join(settings.runDirectory, 'engine/bin');
    expect(await readFile(settings.engineLogFile, 'utf8')).toContain(`PATH=${programs}:`);
    expect(existsSync(path.join(programs, 'runc'))).toBe(false);

    await engine.stop();
    await bring(settings, 'a shim');
    const next = make();
    next.start(Promise.resolve(true));
    await becomes(next, { state: 'ready' });
    expect(await readFile(path.join(programs, 'runc'), 'utf8')).toBe('a shim');
    expect((await stat(path.join(programs, 'runc'))).mode & 0o111).not.toBe(0);
  });

  it('gives the host back what a prune freed', async () => {
    const { make, behave, ran, settings } = await bench();
    await behave('prune');
    const engine = make();
    engine.start(Promise.resolve(true));
    await vi.waitFor(() => expect(ran).toContainEqual(['fstrim', '-v', settings.dataDirectory]), PATIENCE);
  });
});

async function bring(settings: GuestSettings, shim: string): Promise<void> {
  await mkdir(path.join(settings.bootDirectory, 'bin'), { recursive: true });
  await writeFile(path.join(settings.bootDirectory, 'bin/runc'), shim, { mode: 0o755 });
}

describe('Docker’s configuration', () => {
  it('puts images on the data disk, bounds BuildKit’s cache and what containers print', async () => {
    const { settings } = await temporarySettings();
    expect(daemonConfig(CONFIG, settings)).toMatchObject({
      hosts: [`unix://${settings.dockerSocket}`],
      'data-root': `${settings.dataDirectory}/docker`,
      builder: { gc: { enabled: true, defaultKeepStorage: '5000000' } },
      'log-opts': { 'max-size': '10m', 'max-file': '3' },
    });
  });
});

describe('Docker’s log', () => {
  const read = async (log: EngineLog, follow = false, signal = new AbortController().signal): Promise<string> => {
    let text = '';
    for await (const piece of log.read(follow, signal)) text += piece.toString('utf8');
    return text;
  };

  it('is empty before Docker has started', async () => {
    expect(await read(new EngineLog(path.join(await temporaryFolder(), 'engine.log')))).toBe('');
  });

  it('stays small, and keeps what came before the cut', async () => {
    const file = path.join(await temporaryFolder(), 'engine.log');
    const log = new EngineLog(file, 10);
    const writer = await log.openForDaemon();
    await writer.write('0123456789abc\n');
    await log.bound();
    await writer.write('later\n');
    expect(await readFile(file, 'utf8')).toBe('later\n');
    expect(await read(log)).toBe('0123456789abc\nlater\n');
    await writer.close();
  });

  it('is followed through a cut, until the reader goes', async () => {
    const log = new EngineLog(path.join(await temporaryFolder(), 'engine.log'), 10);
    const gone = new AbortController();
    const pieces: string[] = [];
    const following = (async () => {
      for await (const piece of log.read(true, gone.signal)) pieces.push(piece.toString('utf8'));
    })();
    const writer = await log.openForDaemon();
    const says = (text: string): Promise<void> => vi.waitFor(() => expect(pieces.join('')).toContain(text), PATIENCE);
    await writer.write('a long first line\n');
    await says('first');
    await log.bound();
    await writer.write('second\n');
    await says('second');
    gone.abort();
    await following;
    await writer.close();
  });

  it.each([
    ['plain words', 'time="x" level=info msg="a"\nfailed to start daemon: b\n', 'failed to start daemon: b'],
    ['a line of level fatal', 'time="x" level=fatal msg="say \\"no\\""\ntime="x" level=info msg="a"\n', 'say \\"no\\"'],
    ['nothing but news', 'time="x" level=info msg="a"\ntime="x" level=error msg="b"\n', undefined],
    ['nothing', '', undefined],
  ])('of %s tells the last complaint', async (_what, text, complaint) => {
    const file = path.join(await temporaryFolder(), 'engine.log');
    await writeFile(file, `failed: long ago\n${text}`);
    expect(await new EngineLog(file).lastComplaint('failed: long ago\n'.length)).toBe(complaint);
  });
});
