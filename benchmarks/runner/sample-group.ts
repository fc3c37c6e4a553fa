/** The cgroup that a sample runs in, and what the kernel counted there: parts of the guest's scripts. */
import type { Counts } from '../session.ts';
import { cgroupCounts } from './counts.ts';

const CGROUP = '/sys/fs/cgroup';
const GROUP = `${CGROUP}/rosetta-vm-bench`;

/** Makes it anew, as `$group`. What an earlier sample left running in it is ended first, so that it does not cost this one. */
export const TAKE_GROUP = [
  `group=${GROUP}`,
  'if test -d "$group"; then echo 1 > "$group/cgroup.kill"; fi',
  'for try in 1 2 3 4 5 6 7 8 9 10; do test ! -d "$group" || rmdir "$group" 2> /dev/null || sleep 0.1; done',
  `echo '+cpu +memory +io' > ${CGROUP}/cgroup.subtree_control`,
  'mkdir "$group"',
];

/** Prints a section for each file of the kernel's. */
export const PRINT_COUNTS =
  'for file in cpu.stat memory.peak io.stat; do echo "# $file"; cat "$group/$file" 2> /dev/null || true; done';

/** After the last sample; there may be none. */
export const REMOVE_GROUP = `rmdir ${GROUP} 2> /dev/null; true`;

/** Finds the text below a line `# name` in what a script printed; empty when there is none. */
export function sectionsOf(stdout: string): (name: string) => string {
  const sections = new Map(
    stdout.split(/^# /m).map((section) => {
      const end = section.indexOf('\n');
      return [section.slice(0, end), section.slice(end + 1)] as const;
    }),
  );
  return (name) => sections.get(name) ?? '';
}

export const countsOf = (section: (name: string) => string): Counts =>
  cgroupCounts({
    cpuStat: section('cpu.stat'),
    memoryPeak: section('memory.peak'),
    ioStat: section('io.stat'),
  });
