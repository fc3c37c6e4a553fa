/** A machine's folder: what is in it, and the record that says what the machine is. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../errors.ts';
import { readBounded, writeWhole } from '../files.ts';
import type { StatePaths } from '../paths.ts';
import { MACHINE_NAME_PATTERN, type MachineSpec, parseSpec } from '../spec/spec.ts';
import type { LastStop } from './machine.ts';

/** Everything in a machine's folder, by its purpose. */
export interface MachineFolder {
  readonly name: string;
  readonly directory: string;
  readonly record: string;
  readonly systemDisk: string;
  readonly dataDisk: string;
  /** Share with the agent's bundle and the boot's configuration. */
  readonly boot: string;
  readonly plan: string;
  readonly serialLog: string;
  /** What the host process and its children wrote. */
  readonly hostLog: string;
  readonly lastStop: string;
  /** Held by a command that changes the machine (up, delete). */
  readonly commandLock: string;
  /** Held by the host process as long as the machine lives. */
  readonly hostLock: string;
}

export function machineFolder(paths: StatePaths, name: string): MachineFolder {
  const directory = path.join(paths.machines, name);
  const file = (child: string): string => path.join(directory, child);
  return {
    name,
    directory,
    record: file('machine.json'),
    systemDisk: file('system.raw'),
    dataDisk: file('data.raw'),
    boot: file('boot'),
    plan: file('plan.json'),
    serialLog: file('serial.log'),
    hostLog: file('host.log'),
    lastStop: file('last-stop.json'),
    commandLock: file('command.lock'),
    hostLock: file('host.lock'),
  };
}

export interface MachineRecord {
  readonly schemaVersion: 1;
  readonly name: string;
  /** Unix ms. */
  readonly createdAt: number;
  /** Image that the system disk was made from. */
  readonly imageId: string;
  readonly spec: MachineSpec;
  readonly cid: number;
  readonly macAddress: string;
  readonly machineIdentifier: string;
}

/** Guest CIDs below 3 are reserved (vsock(7)); the host's drivers take 31 bits. */
const MIN_CID = 3;
const MAX_CID = 2 ** 31 - 1;

/**
 * What a machine is given once and keeps. The MAC prefix is QEMU's locally administered 52:54:00. `machineIdentifier`: the
 * driver's, where it has a form of its own.
 */
export function newIdentity(
  machineIdentifier: string = randomUUID(),
): Pick<MachineRecord, 'cid' | 'macAddress' | 'machineIdentifier'> {
  const tail = [...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0'));
  return {
    cid: randomInt(MIN_CID, MAX_CID),
    macAddress: ['52', '54', '00', ...tail].join(':'),
    machineIdentifier,
  };
}

const recordSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string().regex(MACHINE_NAME_PATTERN),
  createdAt: z.number().nonnegative(),
  imageId: z.string().regex(/^[0-9a-f]{16}$/),
  spec: z.unknown(),
  cid: z.int().min(MIN_CID).max(MAX_CID),
  macAddress: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/),
  machineIdentifier: z.string().min(1).max(4096),
});

const lastStopSchema = z.object({
  kind: z.enum(['guest', 'requested', 'crashed', 'killed', 'failed']),
  message: z.string(),
  error: z.record(z.string(), z.unknown()).nullable(),
  at: z.number(),
});

const MAX_RECORD_BYTES = 256 * 1024;

/** Null when there is no record. Throws `E_CORRUPT` when it is damaged. */
export async function readRecord(folder: MachineFolder): Promise<MachineRecord | null> {
  const text = await readBounded(folder.record, MAX_RECORD_BYTES);
  if (text === null) return null;
  try {
    const parsed = recordSchema.parse(JSON.parse(text));
    return { ...parsed, spec: parseSpec(parsed.spec, folder.record) };
  } catch (error) {
    throw new RosettaVmError('E_CORRUPT', {
      what: `The record of the machine ${folder.name} is damaged.`,
      why: `${folder.record}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
      fix: `Run \`rosetta-vm delete ${folder.name} --keep-data\`, then \`rosetta-vm up ${folder.name}\`: the data disk is kept.`,
      facts: { file: folder.record },
      cause: error,
    });
  }
}

export async function writeRecord(folder: MachineFolder, record: MachineRecord): Promise<void> {
  await writeWhole(folder.record, `${JSON.stringify(record, null, 2)}\n`);
}

/** A damaged note is no note: it only explains. */
export async function readLastStop(folder: MachineFolder): Promise<LastStop | null> {
  try {
    const text = await readBounded(folder.lastStop, MAX_RECORD_BYTES);
    return text === null ? null : lastStopSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export async function writeLastStop(folder: MachineFolder, stop: LastStop): Promise<void> {
  await writeWhole(folder.lastStop, `${JSON.stringify(stop)}\n`);
}

export const clearLastStop = (folder: MachineFolder): Promise<void> => rm(folder.lastStop, { force: true });

/** Names of the folders that could be machines, sorted. */
export async function machineNames(paths: StatePaths): Promise<string[]> {
  const entries = await readdir(paths.machines, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory() && MACHINE_NAME_PATTERN.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}
