/** What is mounted where, from the kernel's own list. */
import { readFile } from 'node:fs/promises';

/** True when something is mounted exactly at an absolute path. */
export async function isMountPoint(path: string): Promise<boolean> {
  return (await mountSource(path)) !== null;
}

/**
 * What is mounted exactly at an absolute path, such as a device; null when nothing is. The last one counts: it lies over
 * the others (proc_pid_mountinfo(5): the fifth field is the place, the second behind “-” the source, with octal escapes).
 */
export async function mountSource(path: string): Promise<string | null> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const found = lines.findLast((line) => plain(line.split(' ')[4] ?? '') === path);
  return found === undefined ? null : plain(found.split(' - ')[1]?.split(' ')[1] ?? '');
}

function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
