/** Files that a plan names, looked at before anything is started, so that a mistake is told in the user's words. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { RosettaVmError } from '../errors.ts';
import type { DiskPlan, MachinePlan } from '../plan/plan.ts';
import { checkExternalDisk } from './external-disk.ts';

/** What virtual disks are made of, bytes. */
const SECTOR_BYTES = 512;

/**
 * Throws `E_NOT_FOUND` (kernel, initrd, disk, share), `E_STATE` (not readable or writable), `E_CORRUPT` (a disk of the
 * wrong size) or `E_INVALID` (a share that is no folder, a kernel or initrd that is no file), and what
 * {@link checkExternalDisk} throws.
 */
export async function checkPlanFiles(plan: MachinePlan): Promise<void> {
  await checkFile(plan.boot.kernel, 'kernel', 'Build the image again with `rosetta-vm image build`.');
  if (plan.boot.initialRamdisk !== null) {
    await checkFile(plan.boot.initialRamdisk, 'initrd', 'Build the image again with `rosetta-vm image build`.');
  }
  for (const disk of plan.disks) await checkDisk(disk);
  for (const share of plan.shares) await checkShare(share.path);
}

async function checkFile(file: string, what: string, fix: string): Promise<void> {
  await checkAccess(file, constants.R_OK, what, fix);
  if ((await stat(file)).isFile()) return;
  throw new RosettaVmError('E_INVALID', {
    what: `The ${what} is no file: ${file}`,
    why: 'There is something else of that name, such as a folder.',
    fix,
    facts: { path: file },
  });
}

async function checkDisk(disk: DiskPlan): Promise<void> {
  if (disk.attachment.kind !== 'file') return await checkExternalDisk(disk);
  const { path } = disk.attachment;
  const mode = disk.readOnly ? constants.R_OK : constants.R_OK | constants.W_OK;
  await checkAccess(path, mode, `${disk.role} disk`, 'Delete the machine and create it again, or correct the path.');
  const { size } = await stat(path);
  if (size === disk.sizeBytes && size % SECTOR_BYTES === 0) return;
  throw new RosettaVmError('E_CORRUPT', {
    what: `The ${disk.role} disk ${path} has the wrong size.`,
    why:
      size % SECTOR_BYTES === 0
        ? `It has ${size} bytes; the machine's record says ${disk.sizeBytes}.`
        : `It has ${size} bytes, which is no whole number of sectors of ${SECTOR_BYTES} bytes.`,
    fix: 'It was cut off or changed from outside: restore it, or delete the machine and create it again.',
    facts: { role: disk.role, path, size, expected: disk.sizeBytes },
  });
}

async function checkShare(path: string): Promise<void> {
  const fix = 'Create the folder, or correct the share in rosetta-vm.yaml.';
  await checkAccess(path, constants.R_OK | constants.X_OK, 'shared folder', fix);
  if ((await stat(path)).isDirectory()) return;
  throw new RosettaVmError('E_INVALID', {
    what: `The share ${path} is not a folder.`,
    why: 'virtiofs shows folders to the guest.',
    fix: 'Share the folder that holds the file.',
    facts: { path },
  });
}

async function checkAccess(file: string, mode: number, what: string, fix: string): Promise<void> {
  try {
    await access(file, mode);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    throw new RosettaVmError(missing ? 'E_NOT_FOUND' : 'E_STATE', {
      what: missing ? `The ${what} is missing: ${file}` : `The ${what} cannot be opened: ${file}`,
      why: message,
      fix: missing ? fix : 'Give this user the right to read it, and to write it where the machine writes.',
      facts: { path: file },
      cause: error,
    });
  }
}
