/** One measurement at a time in a machine, whichever program takes it. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { alone } from '../../../benchmarks/alone.ts';
import { statePaths } from '../../../host/paths.ts';
import { commandLine, parts } from '../cli/command-line.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const demo = commandLine('benchmarks/demo/main.ts');

test('a second one in the same machine is refused, one in another is not, and the end of the first lets others begin', async () => {
  const paths = statePaths({ ROSETTA_VM_HOME: await temporaryFolder() });
  await alone(paths, 'one', async () => {
    await expect(alone(paths, 'one', async () => 'both')).rejects.toMatchObject({ code: 'E_LOCKED' });
    expect(await alone(paths, 'two', async () => 'beside')).toBe('beside');
  });
  await expect(
    alone(paths, 'one', async () => {
      throw new Error('broke');
    }),
  ).rejects.toThrow('broke');
  expect(await alone(paths, 'one', async () => 'after')).toBe('after');
});

test('a second demo says so before it touches the machine', async () => {
  const home = path.join(await temporaryFolder(), 'home');
  await mkdir(home);
  await alone(statePaths({ ROSETTA_VM_HOME: home }), 'demo', async () => {
    const outcome = await demo.run(['--quick'], { home });
    expect(outcome).toMatchObject({ status: 4, stdout: '' });
    expect(parts(outcome).what).toBe('Another process measures in the machine demo.');
  });
});
