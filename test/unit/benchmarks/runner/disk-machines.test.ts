import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DiskMachines, describeDisk, diskMode } from '../../../../benchmarks/runner/disk-machines.ts';
import { startNbdServer } from '../../../../benchmarks/runner/nbd-server.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import type { AgentClient, MachineSpec, Machines } from '../../../../host/index.ts';
import { statePaths } from '../../../../host/paths.ts';
import { parseSpec } from '../../../../host/spec/spec.ts';
import { GIB } from '../../../../host/spec/units.ts';
import { temporaryFolder } from '../../machine/temporary.ts';

/** Machines that only remember what was asked of them. */
class Recorded {
  readonly specs = new Map<string, MachineSpec>();
  readonly calls: string[] = [];
  failing = '';

  readonly machines = {
    up: async (name: string, spec: MachineSpec) => {
      this.calls.push(`up ${name}`);
      this.specs.set(name, spec);
      if (name === this.failing) throw new Error('It does not start.');
    },
    down: async (name: string) => this.#require(name, 'down'),
    delete: async (name: string) => {
      this.#require(name, 'delete');
      this.specs.delete(name);
    },
    agent: async (name: string) => ({ name }) as unknown as AgentClient,
    dryRun: async (_name: string, { disk }: MachineSpec) => ({
      plan: {
        disks: [{ role: 'data', bus: disk.bus, attachment: { kind: disk.attachment === undefined ? 'file' : 'nbd' } }],
      },
    }),
  } as unknown as Machines;

  #require(name: string, call: string): void {
    if (!this.specs.has(name)) {
      throw new RosettaVmError('E_NOT_FOUND', { what: 'There is none.', why: '-', fix: '-' });
    }
    this.calls.push(`${call} ${name}`);
  }
}

const SPEC = parseSpec({ shares: [{ path: '/src', mountPoint: '/src' }], qemu: { accelerator: 'tcg' } });
const LIKE = { spec: SPEC, image: '0123456789abcdef', cpus: 2, memoryMiB: 512 };

let recorded: Recorded;
let home = '';
beforeEach(async () => {
  recorded = new Recorded();
  home = await temporaryFolder();
});
afterEach(() => vi.unstubAllEnvs());

const disksOf = (like = LIKE): DiskMachines =>
  new DiskMachines({
    ...{ machines: recorded.machines, paths: statePaths({ ROSETTA_VM_HOME: home }), like },
    ...{ signal: new AbortController().signal, onProgress: () => {} },
  });

/** A program that listens where qemu-nbd would, with qemu-nbd's arguments, or one that ends at once. */
async function standIn(script: string): Promise<void> {
  const bin = path.join(home, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(path.join(bin, 'qemu-nbd'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
}
const LISTENS = [
  'for one; do [ "$last" = --socket ] && socket=$one; last=$one; done',
  `exec "${process.execPath}" -e 'require("net").createServer().listen(process.argv[1])' "$socket"`,
].join('\n');

describe('machines for the disks of a matrix', () => {
  test('are like the measured one in everything but the disk, made once, and all gone in the end', async () => {
    const disks = disksOf();
    const nvme = await disks.place('nvme');
    expect(await disks.place('nvme')).toBe(nvme);
    expect(await disks.place('virtio')).toMatchObject({ disk: 'virtio, file, own machine' });
    expect(nvme.disk).toBe('nvme, file, own machine');
    expect(recorded.specs.get('bench-disk-virtio')).toMatchObject({
      ...{ cpus: 2, memory: GIB / 2, image: LIKE.image, shares: [], qemu: { accelerator: 'tcg' } },
      ...{ disk: { bus: 'virtio' }, engine: { enabled: false } },
    });
    await disks.remove();
    expect([...recorded.specs.keys()]).toEqual([]);
    expect(recorded.calls.filter((call) => call.startsWith('up'))).toEqual([
      'up bench-disk-nvme',
      'up bench-disk-virtio',
    ]);
  });

  test('replace what an interrupted session left, and go also when one does not start', async () => {
    recorded.specs.set('bench-disk-nvme', SPEC);
    recorded.failing = 'bench-disk-virtio';
    const disks = disksOf();
    await disks.place('nvme');
    await expect(disks.place('virtio')).rejects.toThrow('does not start');
    expect(recorded.calls.slice(0, 3)).toEqual([
      'down bench-disk-nvme',
      'delete bench-disk-nvme',
      'up bench-disk-nvme',
    ]);
    await disks.remove();
    expect([...recorded.specs.keys()]).toEqual([]);
  });

  test('must fit beside it', async () => {
    const memoryMiB = Math.floor(totalmem() / 2 ** 20 / 2.5);
    await expect(disksOf({ ...LIKE, memoryMiB }).check(['nvme', 'virtio'])).rejects.toMatchObject({ code: 'E_SIZE' });
    await disksOf({ ...LIKE, memoryMiB }).check(['virtio']);
  });

  test('for nbd have a server while they live', async () => {
    await standIn(LISTENS);
    const disks = disksOf();
    await disks.check(['nbd']);
    expect(await disks.place('nbd')).toMatchObject({ disk: 'nvme, nbd, own machine' });
    expect(recorded.specs.get('bench-disk-nbd')?.disk.attachment).toMatch(/^nbd\+unix:\/\/\/bench\?socket=/);
    await disks.remove();
    for (const folder of ['machines', 'run']) expect(await readdir(path.join(home, folder))).toEqual([]);
  });
});

describe('an NBD server', () => {
  const start = () =>
    startNbdServer({
      ...{ directory: path.join(home, 'server'), runtimeDirectory: path.join(home, 'run'), bytes: 4096 },
      signal: new AbortController().signal,
    });

  test('that is not installed is told before anything is measured', async () => {
    vi.stubEnv('PATH', path.join(home, 'empty'));
    await expect(disksOf().check(['nvme', 'nbd'])).rejects.toMatchObject({
      code: 'E_HOST_MISSING',
      fix: expect.stringContaining('qemu-utils'),
    });
  });

  test('that ends at once is quoted, and leaves nothing', async () => {
    await standIn('echo "qemu-nbd: no such option" >&2; exit 1');
    await expect(start()).rejects.toMatchObject({ code: 'E_VM_FAILED', why: 'qemu-nbd: no such option' });
    expect((await readdir(home)).sort()).toEqual(['bin']);
  });
});

test('the dimension’s value is told from the fingerprint’s words', () => {
  const file = { kind: 'file', path: '/x' } as const;
  expect(diskMode(describeDisk({ bus: 'virtio', attachment: file }))).toBe('virtio');
  expect(diskMode(describeDisk({ bus: 'nvme', attachment: { kind: 'nbd', url: 'nbd://h' } }))).toBe('nbd');
  expect(diskMode('none')).toBe('none');
});
