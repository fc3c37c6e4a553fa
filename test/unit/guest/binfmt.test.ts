import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { binfmtLine, listEntries, parseEntry, register, x86_64Entry } from '../../../guest/translators/binfmt.ts';
import { proofProgram, proveTranslation } from '../../../guest/translators/proof.ts';

/** What Linux 6.12 prints. */
const KERNEL_ROSETTA = `enabled
interpreter /mnt/lima-rosetta/rosetta
flags: OCF
offset 0
magic 7f454c4602010100000000000000000002003e00
mask fffffffffffefe00fffffffffffffffffeffffff
`;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-binfmt-'));
  await writeFile(path.join(directory, 'status'), 'enabled\n');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const entry = x86_64Entry('rvm-box64', '/dev/rvm/box64', 'F');

describe('the binfmt_misc line', () => {
  it('matches x86_64 executables and shared objects, as QEMU’s and Apple’s do', () => {
    expect(binfmtLine(entry)).toBe(
      String.raw`:rvm-box64:M:0:\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00:` +
        String.raw`\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/dev/rvm/box64:F`,
    );
  });

  it('fits the kernel’s limit of 1920 bytes', () => {
    expect(binfmtLine(entry).length).toBeLessThan(1920);
  });
});

describe('an entry as the kernel prints it', () => {
  it('is read back', () => {
    expect(parseEntry('rosetta', KERNEL_ROSETTA)).toMatchObject({
      name: 'rosetta',
      enabled: true,
      interpreter: '/mnt/lima-rosetta/rosetta',
      flags: 'OCF',
      magic: entry.magic,
      mask: entry.mask,
    });
  });

  it('without a mask counts every bit', () => {
    expect(parseEntry('x', 'enabled\ninterpreter /x\nflags: \noffset 0\nmagic 7f45\n')?.mask).toEqual(
      Buffer.from([255, 255]),
    );
  });

  it('that matches by extension is left out', () => {
    expect(parseEntry('wine', 'enabled\ninterpreter /wine\nflags: \nextension .exe\n')).toBeUndefined();
  });
});

describe('registering', () => {
  /** The folder of files stands for the kernel's; what would be registered is put there first. */
  const kernelHas = (name: string, text: string) => writeFile(path.join(directory, name), text);
  const ours = KERNEL_ROSETTA.replace('/mnt/lima-rosetta/rosetta', entry.interpreter).replace('OCF', 'F');

  it('removes other handlers of the same programs and names them', async () => {
    await kernelHas('rvm-box64', ours);
    await kernelHas('qemu-x86_64', KERNEL_ROSETTA);
    await kernelHas('python3', 'enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic a70d0d0a\n');
    const removed = await register(directory, { ...entry, name: 'rvm-box64' }).catch((error) => error);
    // The stand-in keeps the "-1" that the kernel would act on.
    expect(await readFile(path.join(directory, 'qemu-x86_64'), 'utf8')).toBe('-1');
    expect(await readFile(path.join(directory, 'python3'), 'utf8')).toContain('python3');
    expect(removed).toMatchObject({ code: 'E_AGENT' });
  });

  it('fails when the kernel shows another interpreter afterwards', async () => {
    await expect(register(directory, entry)).rejects.toMatchObject({ code: 'E_AGENT' });
    expect(await readFile(path.join(directory, 'register'), 'utf8')).toBe(binfmtLine(entry));
  });

  /**
   * A pipe that is the kernel's entry: it has another program's at first, takes the `-1`, and shows `text` then. Each of
   * its ends waits for the other, so nothing depends on time.
   */
  function kernelShows(text: string): ChildProcess {
    const script = 'mkfifo "$1"; echo ready; printf %s "$2" >"$1"; cat "$1" >&2; printf %s "$3" >"$1"';
    const file = path.join(directory, entry.name);
    return spawn('sh', ['-c', script, 'sh', file, KERNEL_ROSETTA, text], { stdio: ['ignore', 'pipe', 'ignore'] });
  }
  const withFlags = (flags: string): string => ours.replace('flags: F', `flags: ${flags}`);

  it.each([
    ['POCF', 'POCF', true],
    ['FPC', 'POCF', true],
    ['POCF', 'OCF', false],
    ['OCF', 'POCF', false],
    ['OCF', '', false],
  ])('with %s takes an entry with %s: %s', async (asked, shown, taken) => {
    const kernel = kernelShows(withFlags(shown));
    try {
      await once(kernel.stdout ?? kernel, 'data');
      const registered = register(directory, { ...entry, flags: asked });
      if (taken) await expect(registered).resolves.toMatchObject({ registered: { flags: shown }, removed: [] });
      else await expect(registered).rejects.toMatchObject({ why: expect.stringContaining(`the flags ‘${shown}’`) });
    } finally {
      kernel.kill();
    }
  });

  it('lists what is there', async () => {
    await kernelHas('rosetta', KERNEL_ROSETTA);
    expect((await listEntries(directory)).map(({ name }) => name)).toEqual(['rosetta']);
  });
});

describe('the proof', () => {
  it('is a program of a few hundred bytes', () => {
    expect(proofProgram().length).toBeLessThan(200);
  });

  it.runIf(arch() === 'x64' && process.platform === 'linux')('runs: natively it is its own executable', async () => {
    const proof = await proveTranslation(directory, {});
    expect(proof).toEqual({ executable: path.join(directory, `proof-${process.pid}`), ran: true });
  });

  it.runIf(spawnSync('qemu-x86_64', ['--version']).status === 0)('runs under qemu-user', async () => {
    const file = path.join(directory, 'program');
    await writeFile(file, proofProgram(), { mode: 0o755 });
    expect(spawnSync('qemu-x86_64', [file], { input: 'text' }).status).toBe(42);
  });
});
