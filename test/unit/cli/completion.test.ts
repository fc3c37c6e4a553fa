import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Completion, complete, type NameSources } from '../../../host/cli/completion.ts';
import { CommandContext } from '../../../host/cli/context.ts';
import { createProgram } from '../../../host/cli/program.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine, runProgram } from './command-line.ts';
import { script } from './host-tools.ts';

const cli = commandLine();
const names: NameSources = { machine: async () => ['ci', 'default'], image: async () => ['default'] };

/** Completes the last word of a line that begins after the program's name. */
const at = (line: string, sources = names): Promise<Completion> =>
  complete(createProgram(new CommandContext({ json: false })), line.split(' '), sources);
const valuesAt = async (line: string): Promise<string[]> => (await at(line)).candidates.map(({ value }) => value);

describe('what can come next', () => {
  test.each([
    ['e', ['exec', 'env']],
    ['cache st', ['stats']],
    ['cache ', ['stats', 'verify', 'prune', 'deny', 'on', 'off']],
    ['up ', ['ci', 'default']],
    ['status d', ['default']],
    ['translator ci ', ['box64', 'qemu', 'rosetta']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['up --translator ', ['auto', 'box64', 'qemu', 'rosetta']],
    ['up --image ', ['default']],
    ['up --cpus ', []],
    ['up --cpus 2 c', ['ci']],
    ['up --dry-run ', ['ci', 'default']],
    ['up --tra', ['--translator', '--trace']],
    ['ls --', ['--json', '--help']],
    ['image rm ', ['default']],
    ['exec ci -- --', []],
    ['nonsense ', []],
    ['list ', []],
  ])('after %j', async (line, expected) => {
    expect(await valuesAt(line)).toEqual(expected);
  });

  test('files are left to the shell', async () => {
    expect(await at('up -f ')).toEqual({ candidates: [], files: 'file' });
    expect(await at('config validate --file ro')).toEqual({ candidates: [], files: 'file' });
  });

  test('every visible command is offered, with its summary, and none that is hidden', async () => {
    const { candidates } = await at('');
    const program = createProgram(new CommandContext({ json: false }));
    const visible = program.createHelp().visibleCommands(program);
    expect(candidates.map(({ value }) => value)).toEqual(visible.map((one) => one.name()));
    expect(candidates.map(({ value }) => value)).not.toContain('__complete');
    for (const { description } of candidates) expect(description).not.toBe('');
  });

  test('a state folder that cannot be read completes to nothing', async () => {
    expect((await at('up ', { machine: () => Promise.reject(new Error('EACCES')) })).candidates).toEqual([]);
  });
});

describe('the hidden command', () => {
  test('prints a candidate and its description a line, with the machines of the state folder', async () => {
    const home = await temporaryFolder();
    await mkdir(path.join(home, 'machines/build-1'), { recursive: true });
    const { stdout, status } = await cli.run(['__complete', '--', 'status', ''], { home });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'build-1\tname of the machine\n' });
  });

  test('takes words that look like flags, and an empty line', async () => {
    const home = await temporaryFolder();
    expect((await cli.run(['__complete', '--', 'up', '--js'], { home })).stdout).toMatch(/^--json\t/);
    expect((await cli.run(['__complete', '--', ''], { home })).stdout).toMatch(/^up\t/m);
  });
});

test('bash completes commands, machines and files', async () => {
  const home = await temporaryFolder();
  await mkdir(path.join(home, 'machines/build-1'), { recursive: true });
  await writeFile(path.join(home, 'some file.yaml'), '');
  await script(path.join(home, 'rosetta-vm'), `exec ${process.execPath} ${cli.program} "$@"`);
  const driver = `
    source <(rosetta-vm completion bash)
    try() {
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
      _rosetta_vm
      (IFS='|'; echo "\${COMPREPLY[*]}")
    }
    try rosetta-vm sta
    try rosetta-vm exec bu
    try rosetta-vm up --no-
    try rosetta-vm up -f some
    complete -p rosetta-vm`;
  const { stdout, stderr } = await runProgram(['bash', '--norc', '-c', driver], {
    home,
    env: { PATH: `${home}:${process.env.PATH}` },
  });
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toEqual([
    'status',
    'build-1',
    '--no-cache|--no-docker-context',
    'some file.yaml',
    'complete -F _rosetta_vm rosetta-vm',
    '',
  ]);
});

test.each(['zsh', 'fish'])('the script for %s asks the same hidden command', async (shell) => {
  const { stdout, status } = await cli.run(['completion', shell], { home: await temporaryFolder() });
  expect(status).toBe(0);
  expect(stdout).toContain('__complete --');
});
