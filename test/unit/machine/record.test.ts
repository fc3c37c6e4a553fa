import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { growDisk } from '../../../host/machine/disks.ts';
import { deleteMachine, describeDeletion } from '../../../host/machine/end.ts';
import { checkDataDisk } from '../../../host/machine/external-disk.ts';
import { inspectMachine } from '../../../host/machine/inspect.ts';
import { openMachines } from '../../../host/machine/open-machines.ts';
import {
  type MachineFolder,
  type MachineRecord,
  machineFolder,
  machineNames,
  newIdentity,
  readLastStop,
  readRecord,
  writeLastStop,
  writeRecord,
} from '../../../host/machine/record.ts';
import { type StatePaths, statePaths } from '../../../host/paths.ts';
import { tryLock } from '../../../host/process/lock.ts';
import { parseSpec } from '../../../host/spec/spec.ts';
import { temporaryFolder } from './temporary.ts';

let paths: StatePaths;
let folder: MachineFolder;
const record = (): MachineRecord => ({
  schemaVersion: 1,
  name: 'one',
  createdAt: 1_700_000_000_000,
  imageId: '0123456789abcdef',
  spec: parseSpec({ cpus: 2 }),
  ...newIdentity(),
});

beforeEach(async () => {
  paths = statePaths({ ROSETTA_VM_HOME: await temporaryFolder() });
  folder = machineFolder(paths, 'one');
  await mkdir(folder.directory, { recursive: true });
});

test('a record is read back as it was written', async () => {
  const written = record();
  await writeRecord(folder, written);
  expect(await readRecord(folder)).toEqual(written);
  expect(await readdir(folder.directory)).toEqual(['machine.json']);
});

test('no bytes in a record give anything but a record or E_CORRUPT', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
      await writeFile(folder.record, text);
      await expect(readRecord(folder)).rejects.toMatchObject({ code: 'E_CORRUPT' });
    }),
    { numRuns: 50 },
  );
});

test('a damaged record makes a damaged machine that is listed, not a list that fails', async () => {
  await writeFile(folder.record, '{"schemaVersion":1');
  expect(await openMachines({ paths }).list()).toMatchObject([{ name: 'one', state: 'damaged' }]);
  const { reason } = await inspectMachine(paths, 'one');
  expect(reason).toContain('--keep-data');
});

test('an identity is valid and its own', () => {
  const [a, b] = [newIdentity(), newIdentity()];
  expect(a.cid).toBeGreaterThanOrEqual(3);
  expect(a.macAddress).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  expect(a).not.toEqual(b);
});

test('the end of a machine is told: on request, by itself, or without a word', async () => {
  await writeRecord(folder, record());
  expect(await inspectMachine(paths, 'one')).toMatchObject({
    state: 'stopped',
    reason: expect.stringContaining('killed, or this computer was restarted'),
  });
  await writeLastStop(folder, { kind: 'crashed', message: 'QEMU ended with signal SIGSEGV.', error: null, at: 1 });
  expect(await inspectMachine(paths, 'one')).toMatchObject({ reason: 'QEMU ended with signal SIGSEGV.' });
  await writeLastStop(folder, { kind: 'requested', message: 'It was stopped.', error: null, at: 1 });
  expect(await inspectMachine(paths, 'one')).toMatchObject({ state: 'stopped', reason: '' });
  await writeFile(folder.lastStop, 'garbage');
  expect(await readLastStop(folder)).toBeNull();
});

test('a machine whose lock is held by a process that does not listen is not called stopped', async () => {
  await writeRecord(folder, record());
  const held = await tryLock(folder.hostLock);
  expect(await inspectMachine(paths, 'one')).toMatchObject({ state: 'starting' });
  await held?.release();
  expect(await inspectMachine(paths, 'one')).toMatchObject({ state: 'stopped' });
});

test('only folders that can be machines are machines', async () => {
  await mkdir(path.join(paths.machines, 'one.deleted-01234567'));
  await mkdir(path.join(paths.machines, 'Upper'));
  await writeFile(path.join(paths.machines, 'file'), '');
  expect(await machineNames(paths)).toEqual(['one']);
  // The folder is there, but neither a record nor a data disk.
  expect(await openMachines({ paths }).list()).toEqual([]);
});

async function withDisks(): Promise<void> {
  await writeRecord(folder, record());
  await growDisk(folder.systemDisk, 8192);
  await writeFile(folder.dataDisk, Buffer.alloc(65_536, 1));
  await writeFile(folder.serialLog, 'boot');
}

test('deletion is described before it happens, with what each part occupies', async () => {
  await withDisks();
  const items = await describeDeletion(paths, 'one', true);
  expect(items.map(({ what, kept }) => [what, kept])).toEqual([
    ['system disk', false],
    ['data disk', true],
    ['logs and settings', false],
  ]);
  expect(items[1]?.bytes).toBeGreaterThanOrEqual(65_536);
});

test('delete removes everything, or everything but the data disk', async () => {
  await withDisks();
  await deleteMachine(paths, 'one', true);
  expect(await readdir(folder.directory)).toEqual(['data.raw']);
  expect(await inspectMachine(paths, 'one')).toMatchObject({ state: 'kept', image: null });
  await deleteMachine(paths, 'one', false);
  expect(await readdir(paths.machines)).toEqual([]);
  await expect(inspectMachine(paths, 'one')).rejects.toMatchObject({ code: 'E_NOT_FOUND', exitStatus: 3 });
});

describe('a disk that is the user’s own', () => {
  const attachment = 'nbd://host/data';
  const external = (): MachineRecord => ({ ...record(), spec: parseSpec({ disk: { attachment } }) });

  test('is told and left alone, beside a data disk that the machine had before', async () => {
    await withDisks();
    await writeRecord(folder, external());
    const told = async () =>
      (await describeDeletion(paths, 'one', false)).map(({ what, path: where, bytes, kept }) => [
        what,
        where,
        bytes,
        kept,
      ]);
    expect(await told()).toContainEqual(['data disk', folder.dataDisk, expect.any(Number), false]);
    expect(await told()).toContainEqual(['external disk', attachment, null, true]);
    await rm(folder.dataDisk);
    expect(await told()).not.toContainEqual(expect.arrayContaining(['data disk']));
  });

  test('leaves nothing behind of its machine, with --keep-data or without', async () => {
    await writeRecord(folder, external());
    await deleteMachine(paths, 'one', true);
    expect(await readdir(paths.machines)).toEqual([]);
  });

  test('is not given to a second machine while the first runs', async () => {
    await writeRecord(folder, external());
    const disk = { role: 'data', attachment: { kind: 'nbd', url: attachment }, sizeBytes: 512, bus: 'nvme' } as const;
    const plan = { name: 'two', disks: [{ ...disk, readOnly: false, guestDevice: '/dev/nvme0n2' }] };
    await checkDataDisk(paths, plan);
    const held = await tryLock(folder.hostLock);
    await expect(checkDataDisk(paths, plan)).rejects.toMatchObject({ code: 'E_LOCKED', facts: { machine: 'one' } });
    await checkDataDisk(paths, { ...plan, name: 'one' });
    await held?.release();
  });
});

test('a running machine is not deleted', async () => {
  await withDisks();
  const held = await tryLock(folder.hostLock);
  await expect(deleteMachine(paths, 'one', false)).rejects.toMatchObject({ code: 'E_STATE', exitStatus: 4 });
  await held?.release();
  expect(await readdir(folder.directory)).toContain('data.raw');
});
