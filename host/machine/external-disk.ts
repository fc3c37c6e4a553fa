/** A data disk that is the user's own: before a machine gets it, and whose it is already. */
import { realpath } from 'node:fs/promises';
import { checkExternalDisk } from '../drivers/external-disk.ts';
import { RosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import type { DiskAttachment, DiskPlan, MachinePlan } from '../plan/plan.ts';
import { isLocked } from '../process/lock.ts';
import { machineFolder, machineNames, readRecord } from './record.ts';

/** The data disk, when it is no file of the machine. */
export function externalDisk({ disks }: Pick<MachinePlan, 'disks'>): DiskPlan | undefined {
  return disks.find(({ role, attachment }) => role === 'data' && attachment.kind !== 'file');
}

/** What an external attachment is called: path or URL. */
export const attachmentName = (attachment: DiskAttachment): string =>
  attachment.kind === 'nbd' ? attachment.url : attachment.path;

/**
 * Throws what {@link checkExternalDisk} throws, and `E_LOCKED` when a machine that runs has the disk: two guests that
 * write to one file system destroy it.
 */
export async function checkDataDisk(paths: StatePaths, plan: Pick<MachinePlan, 'name' | 'disks'>): Promise<void> {
  const disk = externalDisk(plan);
  if (disk === undefined) return;
  const name = attachmentName(disk.attachment);
  const other = await runningMachineWith(await deviceOf(name), paths, plan.name);
  if (other !== undefined) throw taken(name, other);
  await checkExternalDisk(disk);
}

async function runningMachineWith(device: string, paths: StatePaths, own: string): Promise<string | undefined> {
  for (const name of (await machineNames(paths)).filter((one) => one !== own)) {
    const folder = machineFolder(paths, name);
    // One whose record is damaged cannot be asked; QEMU locks block devices by itself.
    const attachment = (await readRecord(folder).catch(() => null))?.spec.disk.attachment;
    if (attachment === undefined || (await deviceOf(attachment)) !== device) continue;
    if (await isLocked(folder.hostLock)) return name;
  }
  return undefined;
}

/** Two names below /dev may be one device; a Mac's `/dev/rdiskN` is the raw side of `/dev/diskN`, and no link to it. */
const deviceOf = async (attachment: string): Promise<string> =>
  (await realpath(attachment).catch(() => attachment)).replace(/^\/dev\/r(?=disk\d)/, '/dev/');

const taken = (disk: string, machine: string): RosettaVmError =>
  new RosettaVmError('E_LOCKED', {
    what: `The data disk is in use: ${disk}`,
    why: `The machine ${machine} runs on it, and two guests on one file system destroy it.`,
    fix: `Stop that one with \`rosetta-vm down ${machine}\`, or attach another disk.`,
    facts: { disk, machine },
  });
