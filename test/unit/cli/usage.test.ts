import { access, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine, type Outcome, parts, runProgram, TEST_VERSION } from './command-line.ts';
import { hostTools } from './host-tools.ts';

const cli = commandLine();

async function run(args: readonly string[], files: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const cwd = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(cwd, name), text);
  return await cli.run(args, { home: path.join(cwd, 'home'), cwd });
}

/** As {@link run}, on a host that has QEMU and the rest. */
async function runEquipped(args: readonly string[], files: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const cwd = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(cwd, name), text);
  const env = { PATH: `${await hostTools(path.join(cwd, 'bin'))}:${process.env.PATH}` };
  return await cli.run(args, { home: path.join(cwd, 'home'), cwd, env });
}

describe('help and version', () => {
  test.each(['--version', '-V'])('%s prints the version alone', async (flag) => {
    expect(await run([flag])).toEqual({ status: 0, stdout: `${TEST_VERSION}\n`, stderr: '' });
  });

  test('--help names every command once, on stdout', async () => {
    const { status, stdout, stderr } = await run(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of ['up', 'exec', 'shell', 'logs', 'status', 'list', 'down', 'delete', 'cache', 'translator']) {
      expect(stdout.match(new RegExp(`^  ${name}\\b`, 'gm')), name).toHaveLength(1);
    }
    expect(stdout).not.toContain('__complete');
  });

  test.each(['up', 'exec', 'logs', 'delete', 'completion', 'doctor'])(
    '%s --help ends with an example',
    async (name) => {
      const { status, stdout } = await run([name, '--help']);
      expect(status).toBe(0);
      expect(stdout).toMatch(/Options:[\s\S]+(Example|exit status)/);
      for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    },
  );

  test.each([[[]], [['image']], [['cache']], [['config']]])(
    '%j alone is a usage error that shows help',
    async (args) => {
      const { status, stdout, stderr } = await run(args);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(/^Usage: rosetta-vm/);
    },
  );
});

describe('what was typed wrong', () => {
  test.each([
    [['lits'], "Unknown command 'lits'", 'Did you mean list?'],
    [['cache', 'stat'], "Unknown command 'stat'", 'Did you mean stats?'],
    [['up', '--memry', '3'], "Unknown option '--memry'", 'Did you mean --memory?'],
    [['exec', 'default', 'ls', '-l'], "Unknown option '-l'", '`rosetta-vm exec --help`'],
    [['exec'], "Missing required argument 'machine'", '`rosetta-vm exec --help`'],
    [['delete'], "Missing required argument 'machine'", '`rosetta-vm delete --help`'],
    [['up', '--file'], "'-f, --file <file>' argument missing", '`rosetta-vm up --help`'],
    [['list', 'x'], 'Too many arguments', '`rosetta-vm list --help`'],
    [['completion', 'tcsh'], 'bash, zsh, fish', '`rosetta-vm completion --help`'],
    [['translator', 'default', 'fex'], 'box64, qemu, rosetta', '`rosetta-vm translator --help`'],
    [
      ['cache', 'prune', '--all', '--keep', '1'],
      "'--all' cannot be used with option '--keep",
      'rosetta-vm cache prune',
    ],
  ])('%j exits with 2 and says what to do', async (args, what, fix) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(parts(outcome).what).toContain(what);
    expect(parts(outcome).fix).toContain(fix);
  });

  test.each([
    [['up', '--cpus', '0'], '--cpus'],
    [['up', '--cpus', '1.5'], '--cpus'],
    [['up', '--cpus', '1e3'], '--cpus'],
    [['up', '--memory', 'tomato'], 'memory'],
    [['up', '--memory', '1MiB'], 'memory'],
    [['up', '--disk', '0'], 'disk'],
    [['up', 'Bad_Name'], 'Bad_Name'],
    [['status', '../etc'], '../etc'],
    [['delete', 'a/b', '--yes'], 'a/b'],
    [['cache', 'prune', '--keep', '1x'], '--keep'],
    [['cache', 'prune', '--older-than', '5'], '--older-than'],
    [['exec', 'default', '--env', '1=2', '--', 'true'], '--env'],
    [['exec', 'default', '--user', 'root', '--', 'true'], '--user'],
    [['exec', 'default', '--user', '1:2:3', '--', 'true'], '--user'],
    [['image', 'build', '--mirror', 'ftp://x'], 'ftp://x'],
    [['image', 'build', '--name', '../x'], '../x'],
  ])('%j exits with 2, names the value and leaves no trace', async (args, named) => {
    const cwd = await temporaryFolder();
    const outcome = await cli.run(args, { home: path.join(cwd, 'home'), cwd });
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(parts(outcome).what).toContain(named);
    expect(await readdir(cwd)).toEqual([]);
  });

  test('with --json the error is one line of JSON on stderr', async () => {
    for (const args of [
      ['status', 'nope', '--json'],
      ['lits', '--json'],
    ]) {
      const { stdout, stderr, status } = await run(args);
      expect(stdout).toBe('');
      const { schemaVersion, error } = JSON.parse(stderr);
      expect(schemaVersion).toBe(1);
      expect(error).toEqual({
        code: status === 3 ? 'E_NOT_FOUND' : 'E_USAGE',
        what: expect.any(String),
        why: expect.any(String),
        fix: expect.any(String),
        facts: expect.any(Object),
      });
    }
  });

  test('a --json of the guest’s program is not ours', async () => {
    expect((await run(['exec', 'nope', '--', 'jq', '--json'])).stderr).toMatch(/^Error: /);
  });
});

describe('what does not exist', () => {
  test.each([
    ['status', 'nope'],
    ['down', 'nope'],
    ['delete', 'nope', '--yes'],
    ['logs', 'nope'],
    ['logs', 'nope', '--boot'],
    ['cache', 'stats', 'nope'],
    ['cache', 'off', 'nope'],
    ['translator', 'nope', 'qemu'],
    ['agent-restart', 'nope'],
    ['image', 'delete', 'nope'],
    ['config', 'validate'],
    ['up', '-f', 'nope.yaml'],
  ])('%s %s exits with 3', async (...args) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ status: 3, stdout: '' });
    expect(parts(outcome).fix).not.toBe('');
  });

  test('exec and shell exit with 125, which no program of the guest means', async () => {
    expect((await run(['exec', 'nope', '--', 'true'])).status).toBe(125);
    expect((await run(['shell', 'nope'])).status).toBe(125);
  });

  test.each([['list'], ['image', 'list']])('%s lists nothing, and as JSON an empty array', async (...args) => {
    expect(await run(args)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await run([...args, '--json'])).toEqual({ status: 0, stdout: '[]\n', stderr: '' });
  });
});

describe('up --dry-run', () => {
  test('shows plan and processes before there is an image, and writes nothing', async () => {
    const cwd = await temporaryFolder();
    const home = path.join(cwd, 'home');
    const env = { PATH: `${await hostTools(path.join(cwd, 'bin'))}:${process.env.PATH}` };
    const { status, stdout } = await cli.run(['up', 'ci', '--dry-run', '--cpus', '1', '--json'], { home, cwd, env });
    expect(status).toBe(0);
    const [{ schemaVersion, imageExists, plan, commands }] = JSON.parse(stdout);
    expect({ schemaVersion, imageExists }).toEqual({ schemaVersion: 1, imageExists: false });
    expect(plan).toMatchObject({ name: 'ci', cpus: 1 });
    expect(commands.length).toBeGreaterThan(0);
    await expect(access(home)).rejects.toThrow('ENOENT');
  });

  test('prints YAML for people, with commands that a shell takes', async () => {
    const { stdout } = await runEquipped(['up', '--dry-run', '--cpus', '1']);
    const { parse } = await import('yaml');
    const { plan, commands } = parse(stdout);
    expect(plan.name).toBe('default');
    expect(commands.some((command: string) => command.includes('qemu-system-aarch64'))).toBe(true);
  });

  test('takes rosetta-vm.yaml of the working directory, and flags over it', async () => {
    const file = { 'rosetta-vm.yaml': 'cpus: 1\nmemory: 1GiB\n' };
    const { stdout } = await runEquipped(['up', '--dry-run', '--memory', '768MiB', '--no-cache', '--json'], file);
    expect(JSON.parse(stdout)[0].plan).toMatchObject({ cpus: 1, memoryMiB: 768, cache: { enabled: false } });
  });

  test('more than the host has is refused', async () => {
    const outcome = await runEquipped(['up', '--dry-run', '--memory', '15TiB']);
    expect(outcome.status).toBe(2);
    expect(parts(outcome).why).toContain('This host has');
  });
});

describe('doctor', () => {
  test('exits with 0 where machines can run, whatever is degraded', async () => {
    const { status, stdout, stderr } = await runEquipped(['doctor']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ok +node +Node\.js/m);
  });

  test('exits with 5 where they cannot; as JSON a row a capability', async () => {
    const cwd = await temporaryFolder();
    const env = { PATH: await hostTools(path.join(cwd, 'bin'), ['virtiofsd']) };
    const outcome = await cli.run(['doctor', '--json'], { home: path.join(cwd, 'home'), cwd, env });
    expect(outcome.status).toBe(5);
    const rows: { schemaVersion: number; id: string; status: string }[] = JSON.parse(outcome.stdout);
    expect(rows.find(({ id }) => id === 'qemu')).toMatchObject({ schemaVersion: 1, status: 'missing' });
    expect(JSON.parse(outcome.stderr).error.facts.missing).toContain('qemu');
  });
});

describe('config', () => {
  test('validate prints the whole spec, defaults included', async () => {
    const { status, stdout } = await run(['config', 'validate', '--json'], { 'rosetta-vm.yaml': 'memory: 2GiB\n' });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)[0]).toMatchObject({ schemaVersion: 1, spec: { memory: 2 ** 31, translator: 'auto' } });
  });

  test('what validate prints is itself valid', async () => {
    const { stdout } = await run(['config', 'validate'], { 'rosetta-vm.yaml': 'memory: 2GiB\ncpus: 2\n' });
    expect(await run(['config', 'validate'], { 'rosetta-vm.yaml': stdout })).toMatchObject({ status: 0, stdout });
  });

  test.each([
    ['memry: 2GiB\n', 'Did you mean "memory"?'],
    ['cpus: 0\n', 'config schema'],
    ['cpus: [\n', 'Correct that line'],
    ['- a list\n', 'config schema'],
  ])('validate refuses %j', async (text, fix) => {
    const outcome = await run(['config', 'validate', '-f', 'x.yaml'], { 'x.yaml': text });
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(parts(outcome).fix).toContain(fix);
    expect(parts(outcome).what).toContain('x.yaml');
  });

  test('schema prints a JSON Schema', async () => {
    const { status, stdout } = await run(['config', 'schema']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ $schema: expect.stringContaining('2020-12'), type: 'object' });
  });
});

describe('streams', () => {
  test.each([
    ['stty cols 40 rows 20', /^ {2}Why: [^\n]{1,33}\r\n {7}/m],
    ['stty cols 0 rows 0', /^ {2}Why: .{40,}\r\n {2}Fix/m],
  ])('on a terminal after %j an error is broken to its width, if it has one', async (size, expected) => {
    const cwd = await temporaryFolder();
    const command = `${size}; ${process.execPath} ${cli.program} up Bad_Name`;
    const outcome = await runProgram(['script', '-qec', command, '/dev/null'], {
      home: cwd,
      env: { SHELL: '/bin/sh', NO_COLOR: '1' },
    });
    expect(outcome.status).toBe(2);
    expect(outcome.stdout).toMatch(expected);
  });

  test('a reader that has seen enough ends the program quietly', async () => {
    const cwd = await temporaryFolder();
    const script = '"$0" "$1" config schema 2>err | true; cat err';
    for (let i = 0; i < 3; i += 1) {
      const outcome = await runProgram(['sh', '-c', script, process.execPath, cli.program], { home: cwd, cwd });
      expect(outcome).toEqual({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('output that cannot be written is an error with a reason', async () => {
    const cwd = await temporaryFolder();
    const script = 'exec "$0" "$1" config schema > /dev/full';
    const outcome = await runProgram(['sh', '-c', script, process.execPath, cli.program], { home: cwd, cwd });
    expect(outcome.status).toBe(1);
    expect(parts(outcome).what).toBe('The disk is full.');
  });
});
