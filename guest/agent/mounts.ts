/** What is mounted where, from the kernel's own list. */
import { readFile } from 'node:fs/promises';

/** True when something is mounted exactly at an absolute path. */
export async function isMountPoint(path: string): Promise<boolean> {
  return (await mountOptions(path)) !== undefined;
}

/** Options (`ro`, `nosuid`…) of what is mounted exactly at an absolute path; of the topmost, where there are several. */
export async function mountOptions(path: string): Promise<ReadonlySet<string> | undefined> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  // proc_pid_mountinfo(5): the fifth field is the mount point, with octal escapes; the sixth the mount's own options.
  const fields = lines
    .map((line) => line.split(' '))
    .findLast(([, , , , mountPoint = '']) => plain(mountPoint) === path);
  return fields && new Set(fields[5]?.split(','));
}

function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
