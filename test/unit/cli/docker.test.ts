import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Health } from '../../../guest/protocol.ts';
import type { PublishedPort } from '../../../host/docker/ports.ts';
import { runtimeDirectory, statePaths } from '../../../host/paths.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine } from './command-line.ts';
import { HEALTH, scriptedAgent, standIn } from './stand-in.ts';

const cli = commandLine();

interface Machine {
  readonly home: string;
  /** DOCKER_HOST of the machine `ci`. */
  readonly host: string;
}

/** A running machine `ci` whose Docker is as told. */
async function machine(
  engine: Health['engine'] = HEALTH.engine,
  ports: readonly PublishedPort[] = [],
  more: Parameters<typeof scriptedAgent>[0] = {},
): Promise<Machine> {
  const home = await temporaryFolder();
  const agent = await scriptedAgent({ 'GET /v1/health': () => ({ ...HEALTH, engine }), ...more });
  await standIn(home, 'ci', agent, ports);
  const host = `unix://${path.join(runtimeDirectory(statePaths({ ROSETTA_VM_HOME: home }), 'ci'), 'docker.sock')}`;
  return { home, host };
}

describe('env', () => {
  test('prints what a shell can evaluate, or the bare value', async () => {
    const { home, host } = await machine();
    expect(await cli.run(['env', 'ci'], { home })).toEqual({
      status: 0,
      stdout: `export DOCKER_HOST=${host}\n`,
      stderr: '',
    });
    expect((await cli.run(['env', 'ci', '--docker-host'], { home })).stdout).toBe(`${host}\n`);
    const { stdout } = await cli.run(['env', 'ci', '--json'], { home });
    expect(JSON.parse(stdout)).toEqual([{ schemaVersion: 1, DOCKER_HOST: host }]);
  });

  test('fails, with nothing on stdout, for a machine without Docker', async () => {
    const { home } = await machine({ state: 'off', restarts: 0 });
    const { status, stdout, stderr } = await cli.run(['env', 'ci', '--docker-host'], { home });
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
    expect(stderr).toContain('The machine ci has no Docker to reach.');
  });

  test('fails for a machine that does not exist', async () => {
    const { status, stdout } = await cli.run(['env', 'nobody'], { home: await temporaryFolder() });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
  });
});

describe('status', () => {
  test('says where Docker is, and which ports are published', async () => {
    const { home, host } = await machine(undefined, [
      { protocol: 'tcp', port: 8080, problem: null },
      { protocol: 'udp', port: 8080, problem: null },
      { protocol: 'tcp', port: 9090, problem: 'another program of this computer has it' },
    ]);
    const { stdout } = await cli.run(['status', 'ci'], { home });
    expect(stdout).toContain(`26.1.5 at ${host}\n`);
    expect(stdout).toMatch(
      /ports +127\.0\.0\.1:8080\n +127\.0\.0\.1:8080\/udp\n +9090, not on this host: another program/,
    );
  });

  test.each<[string, Health['engine'], RegExp]>([
    [
      'failed, and why',
      { state: 'failed', restarts: 2, reason: 'It ended.' },
      /failed \(It ended\.\), started again 2 times\n/,
    ],
    [
      'failed, without a guest driving the terminal',
      { state: 'failed', restarts: 0, reason: '\u001b[2J' },
      /failed \(\\x1b\[2J\)/,
    ],
    ['off', { state: 'off', restarts: 0 }, /docker +off\n/],
    ['starting', { state: 'starting', restarts: 0 }, /docker +starting\n/],
  ])('says that Docker is %s', async (_what, engine, expected) => {
    const { home } = await machine(engine);
    expect((await cli.run(['status', 'ci'], { home })).stdout).toMatch(expected);
  });
});

describe('logs --engine', () => {
  const log = {
    'GET /v1/engine/log': ({ response }: { response: { end(text: string): void } }) => {
      response.end('level=info msg="Starting up"\nand ready\n');
      return undefined;
    },
  };

  test('prints Docker’s own log as it is', async () => {
    const { home } = await machine(undefined, [], log);
    const { stdout, status } = await cli.run(['logs', 'ci', '--engine'], { home });
    expect({ stdout, status }).toEqual({ stdout: 'level=info msg="Starting up"\nand ready\n', status: 0 });
  });

  test('--json makes an object of each line', async () => {
    const { home } = await machine(undefined, [], log);
    const { stdout } = await cli.run(['logs', 'ci', '--engine', '--json'], { home });
    expect(JSON.parse(stdout)).toEqual([
      { schemaVersion: 1, part: 'engine', message: 'level=info msg="Starting up"' },
      { schemaVersion: 1, part: 'engine', message: 'and ready' },
    ]);
  });

  test('is not to be had together with --boot', async () => {
    const { home } = await machine();
    expect((await cli.run(['logs', 'ci', '--engine', '--boot'], { home })).status).toBe(2);
  });
});
