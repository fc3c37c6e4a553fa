import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceOfNamespace } from '../../../guest/nvme.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-block-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function disk(name: string, namespace: number): Promise<void> {
  await mkdir(path.join(directory, name));
  await writeFile(path.join(directory, name, 'nsid'), `${namespace}\n`);
}

describe('the disk of a namespace', () => {
  it('is found when Linux numbered the namespaces the other way round', async () => {
    await disk('nvme0n1', 2);
    await disk('nvme0n2', 1);
    expect(await deviceOfNamespace('/dev/nvme0n2', directory)).toBe('/dev/nvme0n1');
  });

  it('keeps its name when the order is the expected one, or when it is not there', async () => {
    await disk('nvme0n1', 1);
    await disk('nvme0n2', 2);
    expect(await deviceOfNamespace('/dev/nvme0n2', directory)).toBe('/dev/nvme0n2');
    expect(await deviceOfNamespace('/dev/nvme0n3', directory)).toBe('/dev/nvme0n3');
  });

  it('keeps its name where each disk has a controller of its own, and on another bus', async () => {
    await disk('nvme0n1', 1);
    await disk('nvme1n1', 1);
    expect(await deviceOfNamespace('/dev/nvme1n1', directory)).toBe('/dev/nvme1n1');
    expect(await deviceOfNamespace('/dev/vda', directory)).toBe('/dev/vda');
  });
});
