/** `bench` as a user runs it, with a machine that only pretends. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readHistory } from '../../../../benchmarks/history/read.ts';
import { type Session, sessionSchema } from '../../../../benchmarks/session.ts';
import { tryLock } from '../../../../host/process/lock.ts';
import { commandLine, parts } from '../../cli/command-line.ts';
import { hostTools } from '../../cli/host-tools.ts';
import { HEALTH, scriptedAgent, standIn } from '../../cli/stand-in.ts';
import { temporaryFolder } from '../../machine/temporary.ts';

const bench = commandLine('benchmarks/bench/main.ts');

describe('what needs no machine', () => {
  test('--help names every command and every exit status', async () => {
    const { status, stdout } = await bench.run(['--help'], { home: await temporaryFolder() });
    expect(status).toBe(0);
    for (const name of ['run', 'list', 'calibrate', 'compare', 'history', 'report', 'build']) {
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
    expect(stdout).toContain('7 regression, 8 inconclusive, 9 broken, 10 not comparable');
  });

  test('list shows each benchmark with its tier', async () => {
    const home = await temporaryFolder();
    const { status, stdout } = await bench.run(['list'], { home });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^compile\/gcc-hello +quick +gcc -O2 -c, 10 lines$/m);
    const rows = JSON.parse((await bench.run(['list', '--json'], { home })).stdout);
    expect(rows).toContainEqual({
      ...{ schemaVersion: 1, suite: 'disk', benchmark: 'sync', tier: 'quick', kind: 'fio' },
      title: expect.any(String),
    });
  });

  test.each([
    [['--suite', 'exce'], 3, 'Did you mean "exec"?'],
    [['run', '--benchmark', 'gcc-helo'], 3, 'Did you mean "gcc-hello"?'],
    [['--matrix', 'cahce=off'], 2, 'Did you mean "cache"?'],
    [['calibrate', '--suite', 'bot'], 3, 'Did you mean "boot"?'],
    [['--runs', '0'], 2, expect.any(String)],
    [['--tier', 'fast'], 2, expect.any(String)],
    [['lsit'], 2, 'Did you mean list?'],
    [['build', 'no-such-folder'], 3, expect.any(String)],
  ])('%j is refused before anything is started', async (args, status, fix) => {
    const outcome = await bench.run(args, { home: await temporaryFolder() });
    expect(outcome.status, outcome.stderr).toBe(status);
    expect(parts(outcome).fix).toEqual(fix);
  });
});

describe('a session', () => {
  async function machine(health: object = HEALTH): Promise<string> {
    const home = await temporaryFolder();
    const agent = await scriptedAgent({
      'GET /v1/health': () => health,
      'PUT /v1/cache': () => HEALTH.cache,
    });
    await standIn(home, 'default', agent);
    return home;
  }

  /** On a host that has QEMU and the rest. */
  async function run(args: readonly string[], home: string) {
    return await bench.run(args, {
      home,
      env: { PATH: `${await hostTools(path.join(home, 'bin'))}:${process.env.PATH}` },
    });
  }

  const LATENCY = ['run', '--benchmark', 'agent-latency', '--runs', '3'];

  test('is measured, shown and kept', async () => {
    const home = await machine();
    const outcome = await run(LATENCY, home);
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(outcome.stdout).toMatch(/^channel\/agent-latency +channel=agent +3 /m);
    const folder = path.join(home, 'bench/sessions');
    const [file = ''] = (await readdir(folder)).filter((name) => name.endsWith('.json'));
    const session = sessionSchema.parse(JSON.parse(await readFile(path.join(folder, file), 'utf8')));
    expect(session).toMatchObject({
      state: 'complete',
      fingerprint: { guestKernel: HEALTH.kernel, translators: { box64: 'b'.repeat(64) }, disk: 'nvme, file' },
    });
    expect(session.measurements[0]?.values).toHaveLength(3);
    expect(session.choice).toEqual({ purpose: 'run', suites: [], benchmarks: ['agent-latency'], runs: 3 });
    const [, report = ''] = /^Report +(\/.+\.html)$/m.exec(outcome.stderr) ?? [];
    expect(await readFile(report, 'utf8')).toContain('<!doctype html>');
  });

  test('goes to the file that is named, and to stdout as JSON', async () => {
    const home = await machine();
    const out = path.join(home, 'out/session.json');
    const outcome = await run([...LATENCY, '--json', '--out', out], home);
    expect({ status: outcome.status, stderr: outcome.stderr }).toEqual({ status: 0, stderr: '' });
    const [printed] = JSON.parse(outcome.stdout) as Session[];
    expect(printed).toEqual(JSON.parse(await readFile(out, 'utf8')));
  });

  test('in which an arm fails is broken: 9, and never 0', async () => {
    const home = await machine();
    // The stand-in has no forward to Docker.
    const outcome = await run(['--benchmark', 'docker-latency', '--runs', '1', '--json'], home);
    expect(outcome.status, outcome.stderr).toBe(9);
    const [session] = JSON.parse(outcome.stdout) as Session[];
    expect(session).toMatchObject({ state: 'complete', measurements: [], rejected: [{ benchmark: 'docker-latency' }] });
  });

  test('without a translator in the machine does not begin', async () => {
    const { active: _, ...translator } = HEALTH.translator;
    const home = await machine({ ...HEALTH, translator: { ...translator, state: 'failed', reason: 'It is away.' } });
    const outcome = await run(LATENCY, home);
    expect(outcome.status).toBe(4);
    expect(parts(outcome).why).toBe('It is away.');
  });

  test('waits for no other: a machine that is measured already is refused', async () => {
    const home = await machine();
    await mkdir(path.join(home, 'bench'), { recursive: true });
    const held = await tryLock(path.join(home, 'bench/default.lock'));
    onTestFinished(() => held?.release());
    const outcome = await run(LATENCY, home);
    expect(outcome.status).toBe(4);
    expect(parts(outcome).what).toBe('Another process measures in the machine default.');
  });

  test('calibrate keeps the noise floor of this machine', async () => {
    const home = await machine();
    const args = ['calibrate', '--benchmark', 'agent-latency', '--runs', '2', '--json'];
    const outcome = await run(args, home);
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(JSON.parse(outcome.stdout)).toEqual([
      {
        ...{ schemaVersion: 1, benchmark: 'channel/agent-latency channel=agent', rounds: 4, runs: 2 },
        ...{ floor: expect.any(Number), date: expect.any(String), sessions: null },
      },
    ]);
    expect(await readdir(path.join(home, 'bench/calibration'))).toHaveLength(1);
    // No report is ever of a calibration, and no history finds changes in one.
    expect((await bench.run(['report'], { home })).status).toBe(3);
    const report = JSON.parse((await bench.run(['history', '--json'], { home })).stdout)[0];
    expect(report).toMatchObject({ series: [], leftOut: { partial: 0 } });
  });

  test('calibrate measures as many sessions as it is told, each a session of its own in the history', async () => {
    const home = await machine();
    const args = ['calibrate', '--benchmark', 'agent-latency', '--runs', '1', '--sessions', '3', '--pause', '0'];
    const outcome = await run(args, home);
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(outcome.stdout).toMatch(/^BENCHMARK +NOISE FLOOR +BETWEEN SESSIONS$/m);
    const { results } = await readHistory(path.join(home, 'bench/history.jsonl'));
    expect(results.map(({ purpose }) => purpose)).toEqual(Array(3).fill('calibration'));
    expect(new Set(results.map(({ session }) => session)).size).toBe(3);
  });
});
