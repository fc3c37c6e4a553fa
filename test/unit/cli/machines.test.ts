import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Health } from '../../../guest/protocol.ts';
import type { CacheStats } from '../../../guest/translation-protocol.ts';
import { machineFolder, newIdentity, writeRecord } from '../../../host/machine/record.ts';
import { statePaths } from '../../../host/paths.ts';
import { parseSpec } from '../../../host/spec/spec.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine, environment, type Outcome } from './command-line.ts';
import { hostTools } from './host-tools.ts';
import { HEALTH, realAgent, scriptedAgent, standIn } from './stand-in.ts';

const cli = commandLine();

const STATS: CacheStats = {
  backend: 'dynacache',
  state: 'on',
  directory: '/data/cache/dynacache/bbbb',
  build: 'b'.repeat(64),
  entries: 3,
  bytes: 3 * 2 ** 20,
  limitBytes: 2 ** 32,
  oldestMs: Date.now() - 86_400_000,
  newestMs: Date.now() - 60_000,
  programs: [
    { name: 'cc1', entries: 2, bytes: 2 ** 21, newestMs: Date.now() - 60_000 },
    { name: 'evil\u001b[2J', entries: 1, bytes: 2 ** 20, newestMs: Date.now() - 86_400_000 },
  ],
};

/** A state folder with a running machine `ci` and an agent with these answers. */
async function running(requests: Parameters<typeof scriptedAgent>[0] = {}): Promise<string> {
  const home = await temporaryFolder();
  await standIn(home, 'ci', await scriptedAgent({ 'GET /v1/cache/stats': () => STATS, ...requests }));
  return home;
}

/** Adds a machine that does not run, with a data disk of a few KiB. */
async function addStopped(home: string, name: string): Promise<string> {
  const folder = machineFolder(statePaths({ ROSETTA_VM_HOME: home }), name);
  await mkdir(folder.directory, { recursive: true });
  const spec = parseSpec({ memory: '3GiB', disk: '20GiB' });
  const createdAt = Date.now() - 3 * 86_400_000;
  await writeRecord(folder, { schemaVersion: 1, name, createdAt, imageId: '0123456789abcdef', spec, ...newIdentity() });
  await writeFile(folder.dataDisk, Buffer.alloc(16 * 1024, 1));
  return folder.directory;
}

const json = ({ stdout }: Outcome): Record<string, unknown>[] => JSON.parse(stdout);

describe('list and status', () => {
  test('list has a row a machine, running or not', async () => {
    const home = await running();
    await addStopped(home, 'old');
    const { stdout, stderr, status } = await cli.run(['list'], { home });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const [header, ...rows] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s{2,}/));
    expect(header).toEqual(['NAME', 'STATE', 'TRANSLATOR', 'CACHE', 'CPUS', 'MEMORY', 'DISK', 'AGE']);
    expect(rows).toEqual([
      ['ci', 'running', 'box64', 'on', '2', '2 GiB', expect.any(String), '2h'],
      ['old', 'stopped', 'auto', 'on', 'auto', '3 GiB', '16 KiB', '3d'],
    ]);
  });

  test('list --json is an array whose elements carry the schema’s version', async () => {
    const home = await running();
    await addStopped(home, 'old');
    const machines = json(await cli.run(['list', '--json'], { home }));
    expect(machines.map(({ schemaVersion, name, state }) => [schemaVersion, name, state])).toEqual([
      [1, 'ci', 'running'],
      [1, 'old', 'stopped'],
    ]);
  });

  test('status says which translator is really in use, how full the cache is, and who owns the machine', async () => {
    const { stdout } = await cli.run(['status', 'ci'], { home: await running() });
    expect(stdout).toMatch(/^ci is running\n/);
    expect(stdout).toContain('box64 0.4.3, proved by running an x86_64 program');
    expect(stdout).toContain('on (dynacache), 3 entries, 3 MiB of 4 GiB');
    expect(stdout).toContain('1 GiB of 2 GiB in use');
    expect(stdout).toContain('6 GiB of 8 GiB free');
    expect(stdout).toMatch(/process +\d+, version .+, 50 MiB resident/);
  });

  test('status --json has the cache’s statistics too, and the status survives an agent that has none', async () => {
    const [whole] = json(await cli.run(['status', 'ci', '--json'], { home: await running() }));
    expect(whole).toMatchObject({ schemaVersion: 1, name: 'ci', cacheStats: { entries: 3 } });
    const broken = await running({
      'GET /v1/cache/stats': () => {
        throw new Error('no disk');
      },
    });
    expect(json(await cli.run(['status', 'ci', '--json'], { home: broken }))[0]).toMatchObject({
      state: 'running',
      cacheStats: null,
    });
  });
});

describe('cache', () => {
  test('stats is a page for people and an array for programs, and a name cannot drive the terminal', async () => {
    const home = await running();
    const { stdout } = await cli.run(['cache', 'stats', 'ci'], { home });
    expect(stdout).toMatch(/PROGRAM +ENTRIES +SIZE +NEWEST\ncc1 +2 +2 MiB +1m\nevil\\x1b\[2J +1 +1 MiB +1d\n/);
    expect(json(await cli.run(['cache', 'stats', 'ci', '--json'], { home }))).toEqual([{ schemaVersion: 1, ...STATS }]);
  });

  test('prune sends what was asked and tells what went', async () => {
    const asked: unknown[] = [];
    const home = await running({
      'POST /v1/cache/prune': ({ body }) => {
        asked.push(body);
        return {
          removedEntries: 2,
          removedBytes: 2 ** 21,
          removedCorrupt: 1,
          remainingEntries: 1,
          remainingBytes: 1024,
          dryRun: (body as { dryRun?: boolean }).dryRun ?? false,
        };
      },
    });
    const prune = async (...flags: string[]) => (await cli.run(['cache', 'prune', 'ci', ...flags], { home })).stdout;
    expect(await prune()).toBe('removed 2 entries (2 MiB, 1 of them corrupt), 1 entry (1 KiB) left\n');
    expect(await prune('--keep', '512MiB', '--older-than', '7d', '--dry-run')).toMatch(/^would remove 2 entries/);
    await prune('--all');
    expect(asked).toEqual([{}, { keepBytes: 2 ** 29, olderThanSeconds: 604_800, dryRun: true }, { all: true }]);
  });

  test('verify is content with a whole cache, and exits with 1 over a corrupt entry', async () => {
    const whole = await running({ 'POST /v1/cache/verify': () => ({ checked: 3, corrupt: [] }) });
    expect(await cli.run(['cache', 'verify', 'ci'], { home: whole })).toEqual({
      status: 0,
      stdout: '3 entries checked, none is corrupt\n',
      stderr: '',
    });
    const result = { checked: 3, corrupt: [{ entry: 'cc1-12', reason: 'cut short' }] };
    const damaged = await running({ 'POST /v1/cache/verify': () => result });
    const outcome = await cli.run(['cache', 'verify', 'ci', '--json'], { home: damaged });
    expect(outcome.status).toBe(1);
    expect(json(outcome)).toEqual([{ schemaVersion: 1, ...result }]);
    expect(JSON.parse(outcome.stderr).error).toMatchObject({
      code: 'E_CORRUPT',
      fix: expect.stringContaining('prune'),
    });
  });

  test.each([
    ['on', true],
    ['off', false],
  ])('%s switches it', async (position, enabled) => {
    const home = await running({
      'PUT /v1/cache': ({ body }) => ({
        backend: 'dynacache',
        state: (body as { enabled: boolean }).enabled ? 'on' : 'off',
      }),
    });
    const { stdout } = await cli.run(['cache', position, 'ci', '--json'], { home });
    expect(JSON.parse(stdout)).toEqual([{ schemaVersion: 1, backend: 'dynacache', state: enabled ? 'on' : 'off' }]);
  });
});

test('cache deny shows, adds and removes rows, and wants a program to be named', async () => {
  const row = { program: '/usr/bin/ld', from: 'cache', reason: 'added by hand', addedMs: Date.now() - 120_000 };
  const asked: unknown[] = [];
  const answer = (rows: object[]) => (call: { readonly body: unknown }) => {
    asked.push(call.body);
    return { rows };
  };
  const home = await running({
    'GET /v1/cache/deny': () => ({ rows: [row] }),
    'POST /v1/cache/deny': answer([row]),
    'POST /v1/cache/deny/remove': answer([]),
    'GET /v1/execs': () => ({ counted: true, translators: [] }),
  });
  const deny = (...args: string[]) => cli.run(['cache', 'deny', ...args], { home });
  expect((await deny('list', 'ci')).stdout).toMatch(/KEPT FROM.*\n\/usr\/bin\/ld +- +cache +2m +added by hand\n/);
  expect(json(await deny('list', 'ci', '--json'))).toEqual([{ schemaVersion: 1, ...row }]);
  const added = await deny(
    ...['add', 'ci', '--program', '/usr/bin/ld', '--build-id', 'ABCD', '--from', 'box64', '--reason', 'crashes'],
  );
  expect(added).toMatchObject({ status: 0, stderr: '' });
  expect((await deny('remove', 'ci', '--program', '/usr/bin/ld')).stdout).toBe('no program is kept from anything\n');
  expect(asked).toEqual([
    { program: '/usr/bin/ld', buildId: 'abcd', from: 'box64', reason: 'crashes' },
    { program: '/usr/bin/ld' },
  ]);
  const unnamed = await deny('add', 'ci');
  expect(unnamed).toMatchObject({ status: 2, stderr: expect.stringContaining('--program') });
  expect((await deny('add', 'ci', '--program', '/a', '--from', 'fex')).status).toBe(2);
});

describe('cache deny add, where no router reads the list,', () => {
  const add = async (health: Health, ...key: string[]) => {
    const home = await running({
      'GET /v1/health': () => health,
      'POST /v1/cache/deny': () => ({ rows: [] }),
      'GET /v1/execs': () => ({ counted: false, translators: [] }),
    });
    return await cli.run(['cache', 'deny', 'add', 'ci', ...key], { home });
  };

  test.each([
    [['--program', '/usr/bin/ld'], '/usr/bin/ld would be kept from the cache if `rosetta: {router: true}` were set'],
    [['--build-id', 'ABCD'], 'the program with build-id abcd would be kept from the cache'],
  ])('says that it does not count (%s)', async (key, text) => {
    expect(await add(HEALTH, ...key)).toMatchObject({ status: 0, stderr: expect.stringContaining(text) });
  });

  test('says nothing while no translator is registered', async () => {
    const { active: _, ...translator } = HEALTH.translator;
    const starting: Health = { ...HEALTH, translator: { ...translator, state: 'starting' } };
    expect(await add(starting, '--program', '/usr/bin/ld')).toMatchObject({ status: 0, stderr: '' });
  });
});

test('translator switches and tells what is in use afterwards', async () => {
  const home = await running({
    'PUT /v1/translator': ({ body }) => ({
      state: 'failed',
      wanted: (body as { name: string }).name,
      removedHandlers: [],
      reason: 'it is not in the share',
    }),
  });
  expect((await cli.run(['translator', 'ci', 'qemu'], { home })).stdout).toBe(
    'qemu: failed (it is not in the share)\n',
  );
});

describe('logs', () => {
  test('the agent’s log has a line an event, as JSON an array', async () => {
    const home = await temporaryFolder();
    await standIn(home, 'ci', await realAgent());
    const { stdout } = await cli.run(['logs', 'ci'], { home });
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}agent: The agent listens\. uptimeSeconds=/);
    const lines = json(await cli.run(['logs', 'ci', '--json'], { home }));
    expect(lines[0]).toMatchObject({ schemaVersion: 1, level: 'info', part: 'agent' });
  });

  test('--follow prints one object a line until Ctrl-C, which is no failure', async () => {
    const home = await temporaryFolder();
    await standIn(home, 'ci', await realAgent());
    const child = spawn(process.execPath, [cli.program, 'logs', 'ci', '--follow', '--json'], {
      env: environment({ home }),
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await once(child.stdout, 'data');
    await cli.run(['exec', 'ci', '--', 'true'], { home });
    await expect.poll(() => output).toContain('A program ended');
    child.kill('SIGINT');
    const [status] = await once(child, 'close');
    expect(status).toBe(0);
    for (const line of output.trimEnd().split('\n')) expect(JSON.parse(line)).toMatchObject({ schemaVersion: 1 });
  });

  test('of a stopped machine only the console can be read', async () => {
    const home = await temporaryFolder();
    const directory = await addStopped(home, 'old');
    await writeFile(path.join(directory, 'serial.log'), 'Linux version 6\r\nlast words');
    const agent = await cli.run(['logs', 'old'], { home });
    expect(agent).toMatchObject({ status: 4, stdout: '' });
    expect(agent.stderr).toContain('`rosetta-vm logs old --boot`');
    expect((await cli.run(['logs', 'old', '--boot'], { home })).stdout).toBe('Linux version 6\r\nlast words');
    expect(json(await cli.run(['logs', 'old', '--boot', '--json'], { home }))).toEqual([
      { schemaVersion: 1, part: 'console', message: 'Linux version 6' },
      { schemaVersion: 1, part: 'console', message: 'last words' },
    ]);
  });
});

describe('delete', () => {
  test('without a terminal nothing is asked and nothing lost', async () => {
    const home = await temporaryFolder();
    const directory = await addStopped(home, 'old');
    const outcome = await cli.run(['delete', 'old'], { home });
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toContain('--yes');
    expect(outcome.stderr).toMatch(/lose +data disk +16 KiB/);
    await access(path.join(directory, 'data.raw'));
  });

  test('--yes removes all of it, --keep-data all but the data disk', async () => {
    const home = await temporaryFolder();
    await addStopped(home, 'gone');
    const kept = await addStopped(home, 'kept');
    expect(await cli.run(['delete', 'gone', '--yes'], { home })).toMatchObject({
      status: 0,
      stdout: 'gone is deleted\n',
    });
    expect((await cli.run(['delete', 'kept', '--yes', '--keep-data'], { home })).status).toBe(0);
    expect(await readdir(path.dirname(kept))).toEqual(['kept']);
    expect(await readdir(kept)).toContain('data.raw');
    expect((await cli.run(['list'], { home })).stdout).toMatch(/^kept +kept /m);
  });

  test.each([
    ['y\n', 0, false],
    ['n\n', 1, true],
    ['\n', 1, true],
    ['\u0003', 130, true],
    ['\u0004', 130, true],
  ])('on a terminal %j ends with %d', async (answer, status, there) => {
    const home = await temporaryFolder();
    const directory = await addStopped(home, 'old');
    const child = spawn('script', ['-qec', `${process.execPath} ${cli.program} delete old`, '/dev/null'], {
      env: environment({ home, env: { SHELL: '/bin/sh' } }),
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('[y/N]')) child.stdin.write(answer);
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(status);
    expect(
      await access(directory).then(
        () => true,
        () => false,
      ),
    ).toBe(there);
  });
});

describe('up', () => {
  test('a machine that runs is told of as it is', async () => {
    const home = await running();
    const env = { PATH: `${await hostTools(path.join(home, 'bin'))}:${process.env.PATH}` };
    const outcome = await cli.run(['up', 'ci', '--json'], { home, env });
    expect(outcome.stderr).toBe('');
    expect(json(outcome)[0]).toMatchObject({ schemaVersion: 1, name: 'ci', state: 'running' });
    const text = await cli.run(['up', 'ci', '--trace'], { home, env });
    expect(text.stdout).toMatch(/^ci is running\n {2}translator +box64/);
    expect(text.stderr).toMatch(/^STAGE[\s\S]+total[\s\S]+trace\.json\n$/m);
    await access(path.join(home, 'machines/ci/trace.json'));
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s while it waits ends it with %d and leaves nothing', async (signal, status) => {
    const home = await temporaryFolder();
    // A mirror that takes the connection and never answers: the build of the image waits for it.
    const mirror = createServer().listen(0, '127.0.0.1');
    await once(mirror, 'listening');
    const { port } = mirror.address() as { port: number };
    const env = { PATH: `${await hostTools(path.join(home, 'bin'))}:${process.env.PATH}` };
    const url = `http://127.0.0.1:${port}/debian`;
    const child = spawn(process.execPath, [cli.program, 'up', 'new', '--mirror', url], {
      env: environment({ home, env }),
      cwd: home,
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [connection] = await once(mirror, 'connection');
    child.kill(signal);
    const [code] = await once(child, 'close');
    connection.destroy();
    mirror.close();
    expect(code).toBe(status);
    expect(stderr).toContain('Error: Stopped on request.');
    expect((await cli.run(['list', '--json'], { home })).stdout).toBe('[]\n');
  });
});
