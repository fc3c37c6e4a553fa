/** Facts about the running guest that cost nothing to read. */
import { readFile } from 'node:fs/promises';
import { freemem, release, totalmem } from 'node:os';

/** Seconds since power-on, time asleep included (CLOCK_BOOTTIME; proc_uptime(5)). */
export async function uptimeSeconds(): Promise<number> {
  return Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]);
}

export const kernelRelease = release;

/** os.freemem reads MemAvailable from /proc/meminfo on Linux. */
export function memory(): { totalBytes: number; availableBytes: number } {
  return { totalBytes: totalmem(), availableBytes: freemem() };
}
