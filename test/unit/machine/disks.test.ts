import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SYSTEM_MARKER_OFFSET, systemDiskMarker } from '../../../guest/protocol.ts';
import { copyDisk, fileBytes, growDisk, occupiedBytes } from '../../../host/machine/disks.ts';
import { systemDiskImage } from '../../../host/machine/system-disk.ts';
import { temporaryFolder } from './temporary.ts';

const MIB = 1024 * 1024;

test('a disk is created sparse, grows, and never shrinks', async () => {
  const file = path.join(await temporaryFolder(), 'disk.raw');
  await growDisk(file, 64 * MIB);
  expect(await fileBytes(file)).toBe(64 * MIB);
  expect(await occupiedBytes(file)).toBeLessThan(MIB);
  await growDisk(file, 128 * MIB);
  await growDisk(file, 1 * MIB);
  expect(await fileBytes(file)).toBe(128 * MIB);
});

test('a copy has the same bytes and keeps the holes', async () => {
  const folder = await temporaryFolder();
  const [source, target] = [path.join(folder, 'a.raw'), path.join(folder, 'b.raw')];
  await growDisk(source, 256 * MIB);
  const handle = await open(source, 'r+');
  await handle.write('content', 200 * MIB);
  await handle.close();
  await copyDisk(source, target);
  expect((await stat(target)).size).toBe(256 * MIB);
  expect(await occupiedBytes(target)).toBeLessThan(8 * MIB);
  expect((await readFile(target)).toString('latin1', 200 * MIB, 200 * MIB + 7)).toBe('content');
  expect(await readdir(folder)).toEqual(['a.raw', 'b.raw']);
});

test('a copy that fails or is aborted leaves nothing behind', async () => {
  const folder = await temporaryFolder();
  const source = path.join(folder, 'a.raw');
  await expect(copyDisk(source, path.join(folder, 'b.raw'))).rejects.toMatchObject({ code: 'E_INTERNAL' });
  await writeFile(source, 'x');
  await expect(copyDisk(source, path.join(folder, 'b.raw'), AbortSignal.abort())).rejects.toMatchObject({
    code: 'E_ABORTED',
  });
  expect(await readdir(folder)).toEqual(['a.raw']);
});

test('a system disk is finished only when the marker says for which image', async () => {
  const file = path.join(await temporaryFolder(), 'system.raw');
  expect(await systemDiskImage(file)).toBeNull();
  await growDisk(file, 4096);
  expect(await systemDiskImage(file)).toBeNull();
  const handle = await open(file, 'r+');
  await handle.write(systemDiskMarker('0123456789abcdef'), SYSTEM_MARKER_OFFSET);
  await handle.close();
  expect(await systemDiskImage(file)).toBe('0123456789abcdef');
  await writeFile(file, `${'x'.repeat(SYSTEM_MARKER_OFFSET)}rosetta-vm root 0123456789abcde`);
  expect(await systemDiskImage(file)).toBeNull();
});
