/** What is mounted where, from the kernel's own list. */
import { readFile } from 'node:fs/promises';

/** True when something is mounted exactly at an absolute path (proc_pid_mountinfo(5): the fifth field, octal escapes). */
export async function isMountPoint(path: string): Promise<boolean> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.some((line) => plain(line.split(' ')[4] ?? '') === path);
}

function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
