/** Where things are in the guest. Everything below the entry point takes them as a parameter, so tests choose others. */
import { AGENT_SOCKET, BOOT_DIR, DATA_DIR, ENGINE_SOCKET, RVM_DIR } from '../protocol.ts';

export interface GuestSettings {
  /** Boot share: `config.json`. */
  readonly bootDirectory: string;
  readonly socket: string;
  /** Pipe that is opened once the agent listens; /etc/rosetta-vm/vsock waits for that. */
  readonly listeningPipe: string;
  /** Takes `AGENT_LISTENS`, for the host, which reads the serial log. */
  readonly console: string;
  readonly logFile: string;
  readonly dataDirectory: string;
  /** Mount point of the image's translator share. */
  readonly translatorShareDirectory: string;
  /** Mount point of Apple's share, where containers may be given it too. */
  readonly rosettaShareDirectory: string;
  /** Where the share's copy in memory is, and where programs and containers see the translators. */
  readonly translatorDirectory: string;
  /** Where translated programs see the cache's folder. */
  readonly cacheMountPoint: string;
  readonly binfmtDirectory: string;
  /** sysfs: every block device by the kernel's name. */
  readonly blockDirectory: string;
  /** sysfs: every mounted ext4 by its device's name. */
  readonly ext4Directory: string;
  /** Takes the guest's name (proc_sys_kernel(5)). */
  readonly hostnameFile: string;
  /** Short-lived files: terminals, the proof program. */
  readonly runDirectory: string;
  /** dockerd, with what stands before its arguments. */
  readonly dockerd: readonly [string, ...string[]];
  readonly dockerSocket: string;
  readonly engineLogFile: string;
  /** Where cgroup2 is mounted before containers can be. */
  readonly cgroupDirectory: string;
  /** Put before the name of a program that is an applet of busybox in the guest; empty where it stands on its own. */
  readonly applets: readonly string[];
  /** PATH, HOME and the like of what exec starts; the translator's variables come on top. */
  readonly environment: Readonly<Record<string, string>>;
}

export const GUEST_SETTINGS: GuestSettings = {
  bootDirectory: BOOT_DIR,
  socket: AGENT_SOCKET,
  listeningPipe: '/run/rosetta-vm/listening',
  console: '/dev/console',
  logFile: '/var/log/rosetta-vm/agent.log',
  dataDirectory: DATA_DIR,
  translatorShareDirectory: '/run/rosetta-vm/translators',
  rosettaShareDirectory: `${RVM_DIR}-rosetta-share`,
  translatorDirectory: RVM_DIR,
  cacheMountPoint: `${RVM_DIR}-cache`,
  binfmtDirectory: '/proc/sys/fs/binfmt_misc',
  blockDirectory: '/sys/class/block',
  ext4Directory: '/sys/fs/ext4',
  hostnameFile: '/proc/sys/kernel/hostname',
  runDirectory: '/run/rosetta-vm',
  // Containers inherit the limits. Files: as systemd gives its services, the kernel's hard limit of 4096 is too few.
  // Core dumps: none, unless a container asks; BuildKit probes with programs that crash.
  dockerd: ['prlimit', '--nofile=1024:524288', '--core=0:', '--', 'dockerd'],
  dockerSocket: ENGINE_SOCKET,
  engineLogFile: '/var/log/rosetta-vm/engine.log',
  cgroupDirectory: '/sys/fs/cgroup',
  applets: ['/bin/busybox'],
  environment: {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    USER: 'root',
    LANG: 'C.UTF-8',
  },
};

/** Argument vector of a program that is busybox's in the guest. */
export function applet(settings: GuestSettings, name: string, ...args: string[]): [string, ...string[]] {
  const [first, ...rest] = [...settings.applets, name, ...args];
  return [first ?? name, ...rest];
}
