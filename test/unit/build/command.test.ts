/** The command line of `rosetta-vm build`, up to where a machine is needed. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandLine } from '../cli/command-line.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const cli = commandLine();

async function run(...args: string[]) {
  const home = await temporaryFolder();
  await writeFile(path.join(home, 'Dockerfile'), 'FROM scratch\n');
  const { status, stdout, stderr } = await cli.run(['build', '--json', ...args], { home });
  return { status, stdout, error: JSON.parse(stderr).error };
}

describe('flags that only Docker’s own client can serve', () => {
  test.each([
    ['--push'],
    ['--ssh', 'default'],
    ['--cache-from', 'type=local,src=x'],
    ['--cache-to=x'],
    ['--provenance=0'],
  ])('%s is refused with the way to it', async (...flag) => {
    const { status, error } = await run(...flag, '.');
    expect(status).toBe(2);
    expect(error).toMatchObject({ code: 'E_USAGE', fix: expect.stringContaining('DOCKER_HOST') });
  });
});

describe('what cannot be meant', () => {
  test.each([
    ['no context', []],
    ['a context on standard input', ['-']],
    ['a repository', ['https://example.org/a.git']],
    ['a flag that nobody knows', ['--frobnicate', '.']],
    ['an output that is none', ['-o', 'type=tape', '.']],
    ['a secret without id', ['--secret', 'src=x', '.']],
    ['a form of progress that is none', ['--progress', 'dots', '.']],
    ['--load together with --output', ['--load', '-o', 'out', '.']],
    ['--json while the result goes to stdout', ['-o', '-', '.']],
  ])('%s ends with 2 and writes nothing', async (_what, args) => {
    expect(await run(...args)).toMatchObject({ status: 2, stdout: '', error: { code: 'E_USAGE' } });
  });
});

test('the help names every flag with its meaning', async () => {
  const home = await temporaryFolder();
  const { status, stdout } = await cli.run(['build', '--help'], { home });
  expect(status).toBe(0);
  for (const flag of ['--tag', '--secret', '--build-context', '--explain', '--no-retry'])
    expect(stdout).toContain(flag);
  expect(stdout).not.toContain('--push');
});
