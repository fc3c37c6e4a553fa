/** Disk images on the host: sparse files that the guest partitions its life into. */
import { open, rename, rm, stat } from 'node:fs/promises';
import { execa } from 'execa';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';

/** Bytes that a file really occupies; 0 when it does not exist. stat(2) counts in units of 512 bytes. */
export async function occupiedBytes(file: string): Promise<number> {
  return await stat(file).then(
    ({ blocks }) => blocks * 512,
    () => 0,
  );
}

/** Length of a file, bytes; 0 when it does not exist. */
export async function fileBytes(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Creates a sparse file of `bytes`, or lengthens it to that; never shortens. */
export async function growDisk(file: string, bytes: number): Promise<void> {
  const handle = await open(file, 'a', 0o600);
  try {
    if ((await handle.stat()).size < bytes) await handle.truncate(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A copy of a large disk with few blocks takes seconds; on a slow disk, minutes. */
const COPY_TIMEOUT_MS = 10 * 60_000;

/**
 * Copies a disk image and keeps its holes: by sharing blocks where the file system can (clonefile on APFS, reflink on
 * btrfs and XFS). `target` appears whole. Throws `E_DISK_FULL`, `E_ABORTED`.
 */
export async function copyDisk(source: string, target: string, signal?: AbortSignal): Promise<void> {
  const temporary = `${target}.partial`;
  const flags = process.platform === 'darwin' ? ['-c'] : ['--sparse=always', '--reflink=auto'];
  try {
    await rm(temporary, { force: true });
    const { failed, isCanceled, stderr, timedOut } = await execa('cp', [...flags, '--', source, temporary], {
      reject: false,
      stdin: 'ignore',
      timeout: COPY_TIMEOUT_MS,
      // The one message that is looked for below must not be translated.
      env: { LC_ALL: 'C' },
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    if (isCanceled) throw asRosettaVmError(Object.assign(new Error('aborted'), { name: 'AbortError' }));
    if (failed) throw copyError(source, target, timedOut ? 'it took longer than 10 minutes' : stderr);
    const handle = await open(temporary, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function copyError(source: string, target: string, why: string): RosettaVmError {
  if (/no space left|quota exceeded/i.test(why))
    return asRosettaVmError(Object.assign(new Error(why), { code: 'ENOSPC' }));
  return new RosettaVmError('E_INTERNAL', {
    what: 'The system disk could not be copied.',
    why: why.slice(0, 500),
    fix: 'Look at the message, mend its cause and run the same command again.',
    facts: { source, target },
  });
}
