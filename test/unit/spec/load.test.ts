import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { loadSpec, parseYaml } from '../../../host/spec/load.ts';
import { parseSpec } from '../../../host/spec/spec.ts';
import { GIB } from '../../../host/spec/units.ts';
import { temporaryFolder } from '../machine/temporary.ts';

async function folderWith(text: string, name = 'rosetta-vm.yaml'): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, name), text);
  return folder;
}

describe('where a spec comes from', () => {
  test('without a file it is the defaults', async () => {
    expect(await loadSpec({ cwd: await temporaryFolder() })).toEqual({ spec: parseSpec({}), source: null });
  });

  test('rosetta-vm.yaml of the working directory is used when it is there', async () => {
    const cwd = await folderWith('cpus: 3\n');
    expect(await loadSpec({ cwd })).toMatchObject({ spec: { cpus: 3 }, source: path.join(cwd, 'rosetta-vm.yaml') });
  });

  test('a file that is named goes before it, JSON as well', async () => {
    const cwd = await folderWith('cpus: 3\n');
    await writeFile(path.join(cwd, 'other.json'), '{"cpus": 1}');
    expect((await loadSpec({ cwd, file: 'other.json' })).spec.cpus).toBe(1);
  });

  test('without a file, what is remembered of the machine holds', async () => {
    const remembered = parseSpec({ disk: 100, memory: '3GiB', cache: { limit: '1GiB' } });
    const { spec } = await loadSpec({ cwd: await temporaryFolder(), remembered, overrides: { memory: '1GiB' } });
    expect(spec).toEqual({ ...remembered, memory: GIB });
  });

  test('a file that is named must exist', async () => {
    const cwd = await temporaryFolder();
    await expect(loadSpec({ cwd, file: 'nope.yaml' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('a folder is no file', async () => {
    const cwd = await temporaryFolder();
    await mkdir(path.join(cwd, 'rosetta-vm.yaml'));
    await expect(loadSpec({ cwd })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('a file of a megabyte is refused before it is parsed', async () => {
    const cwd = await folderWith('#'.repeat(1024 * 1024));
    await expect(loadSpec({ cwd })).rejects.toMatchObject({
      code: 'E_INVALID',
      what: expect.stringContaining('too large'),
    });
  });
});

describe('flags over a file', () => {
  test('a flag wins, and what it does not say stays', async () => {
    const cwd = await folderWith('cpus: 3\nmemory: 2GiB\ncache: {limit: 1GiB}\n');
    const { spec } = await loadSpec({ cwd, overrides: { cpus: 1, cache: { enabled: false }, disk: undefined } });
    expect(spec).toMatchObject({ cpus: 1, memory: 2 * GIB, cache: { enabled: false, limit: GIB } });
  });

  test('--disk is the size; where the disk is and on which bus stays as the file or the machine has it', async () => {
    const cwd = await folderWith('disk: {bus: virtio, attachment: "nbd://host/x"}\n');
    const { spec } = await loadSpec({ cwd, overrides: { disk: '5GiB' } });
    const disk = { size: 5 * GIB, bus: 'virtio', attachment: 'nbd://host/x' };
    expect(spec.disk).toEqual(disk);
    const again = await loadSpec({ cwd: await temporaryFolder(), remembered: spec, overrides: { disk: 6 } });
    expect(again.spec.disk).toEqual({ ...disk, size: 6 * GIB });
    const alone = await loadSpec({ cwd: await folderWith('disk: 3\n'), overrides: { disk: 6 } });
    expect(alone.spec.disk).toEqual({ size: 6 * GIB, bus: 'auto' });
  });

  test('a wrong flag is not blamed on the file, nor the other way round', async () => {
    const cwd = await folderWith('cpus: 3\n');
    const flag = loadSpec({ cwd, overrides: { memory: '1MiB' } });
    await expect(flag).rejects.toMatchObject({ code: 'E_SIZE' });
    const image = loadSpec({ cwd, overrides: { image: 'x'.repeat(65) } });
    await expect(image).rejects.toMatchObject({ what: expect.stringContaining('the flags') });
    const file = loadSpec({ cwd: await folderWith('cpus: 0\n'), overrides: { memory: '2GiB' } });
    await expect(file).rejects.toMatchObject({ what: expect.stringContaining('rosetta-vm.yaml') });
  });
});

test('shares are relative to the file or the home folder', async () => {
  const cwd = await folderWith(
    'shares:\n- {path: src, mountPoint: /src}\n- {path: ~/x, mountPoint: /x}\n- {path: /abs, mountPoint: /abs}\n',
  );
  const { spec } = await loadSpec({ cwd: '/', file: path.join(cwd, 'rosetta-vm.yaml') });
  expect(spec.shares.map((share) => share.path)).toEqual([path.join(cwd, 'src'), path.join(homedir(), 'x'), '/abs']);
});

describe('YAML', () => {
  test.each([
    ['a tab for indentation', 'cache:\n\tenabled: true\n'],
    ['a key given twice', 'cpus: 1\ncpus: 2\n'],
    ['an open bracket', 'shares: [\n'],
    ['two documents', 'cpus: 1\n---\ncpus: 2\n'],
  ])('%s is refused with its line', (_, text) => {
    expect(() => parseYaml(text, 'x.yaml')).toThrow(
      expect.objectContaining({ code: 'E_INVALID', what: expect.stringMatching(/x\.yaml.*line \d+, column \d+/) }),
    );
  });

  test('aliases that multiply are refused, not expanded', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
    expect(() => parseYaml(`l0: &l0 [x]\n${levels.join('\n')}\n`, 'x')).toThrow(RosettaVmError);
  });

  test('any text gives data or an E_INVALID', () => {
    const yamlish = fc.string({
      unit: fc.constantFrom(...':-[]{}&*!|>#%@`"\'\\,?~\n\t ab01'.split('')),
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.oneof(fc.string(), yamlish), (text) => {
        try {
          parseYaml(text, 'x');
        } catch (error) {
          expect(error).toMatchObject({ name: 'RosettaVmError', code: 'E_INVALID' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});
