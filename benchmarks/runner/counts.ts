/** What the kernel counted for a sample's cgroup (Documentation/admin-guide/cgroup-v2.rst). Pure. */
import type { Counts } from '../session.ts';

/** The files' contents; empty where the kernel has none. */
export interface CgroupFiles {
  /** `usage_usec 1`, one a line. */
  readonly cpuStat: string;
  /** One number. */
  readonly memoryPeak: string;
  /** `8:0 rbytes=1 wbytes=2 …`, one device a line; empty when it did no input or output. */
  readonly ioStat: string;
}

export function cgroupCounts({ cpuStat, memoryPeak, ioStat }: CgroupFiles): Counts {
  const cpu = new Map([...cpuStat.matchAll(/^(\w+) (\d+)$/gm)].map(([, key = '', value]) => [key, Number(value)]));
  const user = cpu.get('user_usec');
  const system = cpu.get('system_usec');
  const peak = /^\d+$/.test(memoryPeak.trim()) ? Number(memoryPeak) : undefined;
  return {
    ...(user === undefined ? {} : { cpuUserUsec: user }),
    ...(system === undefined ? {} : { cpuSystemUsec: system }),
    ...(peak === undefined ? {} : { memoryPeakBytes: peak }),
    readBytes: sumOf(ioStat, 'rbytes'),
    writtenBytes: sumOf(ioStat, 'wbytes'),
  };
}

/** Every device's: a write to the overlay of a loop device counts on both. */
const sumOf = (ioStat: string, field: string): number =>
  [...ioStat.matchAll(new RegExp(`\\b${field}=(\\d+)`, 'g'))].reduce((sum, [, value]) => sum + Number(value), 0);
