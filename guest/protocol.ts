/**
 * The contract between host and guest. The host imports this file; the guest's agent is bundled from it.
 *
 * Transport: HTTP/1.1 over vsock, one connection a request, to {@link AGENT_PORT}. Every request carries
 * `Authorization: Bearer <token of this boot>`. `Upgrade` turns a connection into an exec stream
 * ({@link EXEC_UPGRADE}), into a raw forward to a unix socket in the guest ({@link FORWARD_UPGRADE}), into datagrams of a
 * UDP port ({@link DATAGRAM_UPGRADE}), or into a hold ({@link HOLD_UPGRADE}).
 *
 * It has no dependencies: parsing is by hand because the agent's start-up time counts (a schema library costs the
 * guest about half a second under emulation).
 */

export const PROTOCOL_VERSION = 1;

/** vsock port of the agent. */
export const AGENT_PORT = 1024;

/** virtiofs tags. Virtualization.framework limits a tag to less than 36 bytes. */
export const BOOT_TAG = 'rvm-boot';
export const TRANSLATORS_TAG = 'rvm-translators';
/** Apple's share with Rosetta, on Macs. */
export const ROSETTA_TAG = 'rvm-rosetta';
/** Present only while an image's system disk is being made: holds the root archive. */
export const IMAGE_TAG = 'rvm-image';

/**
 * Kernel argument that makes the initrd set up the system disk and power off; its value is the image's id. The disk is
 * whole when its second sector begins with {@link systemDiskMarker}, which the initrd writes last. The first sector is
 * the host's: a partition table with one partition, by whose {@link SYSTEM_PARTITION} the kernel finds its root.
 */
export const SETUP_ARGUMENT = 'rvm.setup';

/**
 * The root's PARTUUID: a disk signature and a partition's number (kernel: block/early-lookup.c). Names such as
 * /dev/nvme0n1 do not serve: the kernel scans a controller's namespaces asynchronously, and the first to come is n1.
 */
export const SYSTEM_DISK_SIGNATURE = 0x52564d31;
export const SYSTEM_PARTITION = '52564d31-01';
/** Where the partition starts: the alignment that partitioning tools use, bytes. */
export const SYSTEM_PARTITION_OFFSET = 1024 * 1024;
export const SYSTEM_MARKER_OFFSET = 512;

/** What the second sector of a finished system disk begins with. */
export const systemDiskMarker = (imageId: string): string => `rosetta-vm root ${imageId}\n`;

/** Where the boot share is mounted (mode 0700, root): `agent.cjs`, `config.json`. */
export const BOOT_DIR = '/run/rosetta-vm/boot';
/** Everything that a translated program needs lives under here, in the guest, in chroots and in containers. */
export const RVM_DIR = '/dev/rvm';
/**
 * Where translated programs find rosettad: the host configures it on the share (VZLinuxRosettaUnixSocketCachingOptions),
 * Rosetta tells each program, and the guest has the daemon's socket there. Apple's limit is that of sockaddr_un.
 */
export const ROSETTA_SOCKET = `${RVM_DIR}-rosetta/rosetta.sock`;
/** Mount point of the data disk. */
export const DATA_DIR = '/data';
/**
 * What the agent writes to the console, as a line, once it listens. Until then the host does not connect: a connection
 * that meets vhost-device-vsock 0.3 while the guest's driver starts can leave the device deaf for the whole boot.
 */
export const AGENT_LISTENS = 'rosetta-vm: the agent listens';
/** Unix socket that socat forwards vsock connections to (mode 0600). */
export const AGENT_SOCKET = '/run/rosetta-vm/agent.sock';

/** Docker's socket in the guest. */
export const ENGINE_SOCKET = '/run/docker.sock';

export const EXEC_UPGRADE = 'rosetta-vm-exec';
export const FORWARD_UPGRADE = 'rosetta-vm-forward';
/** `GET /v1/forward?port=`: datagrams to and from that UDP port of the guest's loopback interface (datagram-frames.ts). */
export const DATAGRAM_UPGRADE = 'rosetta-vm-datagrams';
/**
 * A connection that nothing is sent on: a change lasts as long as the host keeps it open, and the guest ends it in turn
 * once the change is taken back. `GET /v1/cache/off`: programs run without the cache. `GET /v1/translator?name=`: with that
 * translator.
 */
export const HOLD_UPGRADE = 'rosetta-vm-hold';

export type TranslatorName = 'box64' | 'qemu' | 'rosetta';

/** What the host writes to `config.json` on the boot share before each boot. */
export interface BootConfig {
  readonly schemaVersion: 1;
  /** 64 hexadecimal digits, new for every boot. */
  readonly token: string;
  readonly machine: string;
  readonly hostVersion: string;
  /**
   * The data disk as `/dev/nvme<controller>n<namespace id>` or `/dev/vd<letter>`; the kernel's own name for it may be
   * another.
   */
  readonly dataDevice: string;
  /** Present when the data disk is no file of the machine but a device of the host or an NBD export: it is the user's. */
  readonly externalData?: { readonly leastBytes: number };
  readonly translator: {
    readonly name: TranslatorName;
    /** virtiofs tag of the translator share. */
    readonly tag: string;
    /** Rosetta only: {@link ROSETTA_SOCKET} where the host configured it, from macOS 14 on and with the cache wanted. */
    readonly socketPath?: string;
    /** Rosetta only: macOS 14 and later understand binfmt_misc's P flag. */
    readonly preserveArgv0?: boolean;
    /** Rosetta only: behind the router, which looks at each program, instead of started by the kernel itself. */
    readonly router?: boolean;
  };
  readonly cache: { readonly enabled: boolean; readonly limitBytes: number };
  readonly engine: { readonly enabled: boolean; readonly buildCacheBytes: number };
  readonly shares: readonly {
    readonly tag: string;
    readonly mountPoint: string;
    readonly readOnly: boolean;
  }[];
}

/** `manifest.json` at the root of the translator share made by the image builder. */
export interface TranslatorShareManifest {
  readonly schemaVersion: 1;
  readonly translators: readonly {
    readonly name: 'box64' | 'qemu';
    /** Upstream version, for people. */
    readonly version: string;
    /** Path of the program inside the share, such as `box64`. */
    readonly program: string;
    /** SHA-256 (hex) over the program's and its libraries' digests: the cache's key. */
    readonly build: string;
  }[];
  readonly files: readonly {
    readonly path: string;
    readonly sha256: string;
    readonly bytes: number;
  }[];
}

/** `GET /v1/health`: answers as soon as the agent listens. */
export interface Health {
  readonly protocol: number;
  readonly agentVersion: string;
  readonly machine: string;
  /** Seconds since power-on (CLOCK_BOOTTIME). */
  readonly uptimeSeconds: number;
  readonly kernel: string;
  /** Guest wall clock, Unix ms. */
  readonly timeMs: number;
  readonly memory: {
    readonly totalBytes: number;
    readonly availableBytes: number;
  };
  readonly dataDisk: {
    readonly state: 'mounting' | 'ready' | 'failed';
    readonly reason?: string;
    readonly totalBytes?: number;
    readonly freeBytes?: number;
  };
  readonly translator: TranslatorStatus;
  readonly cache: CacheStatus;
  readonly engine: EngineStatus;
}

/** Docker in the guest. Its log is `GET /v1/engine/log?follow=1`, as plain text. */
export interface EngineStatus {
  /** `failed`: it ended or never answered, and is started again after a while. `off`: the spec does without it. */
  readonly state: 'starting' | 'ready' | 'failed' | 'off';
  /** Docker's own; absent until it has answered. */
  readonly version?: string;
  /** How often this agent had to start it again. */
  readonly restarts: number;
  readonly reason?: string;
}

export interface TranslatorStatus {
  readonly state: 'starting' | 'ready' | 'failed';
  /** What the spec asked for. */
  readonly wanted: TranslatorName;
  /** What the kernel will really start for an x86_64 program: read back from binfmt_misc, then proved by running one. */
  readonly active?: {
    readonly name: TranslatorName;
    readonly version: string;
    readonly build: string;
    /** What binfmt_misc starts: the router, or the translator itself. */
    readonly interpreter: string;
    /** The translator's own program. */
    readonly program: string;
    /** In the kernel's order, `POCF`. */
    readonly flags: string;
    /** True when a tiny x86_64 program ran and its /proc/<pid>/exe was this program. */
    readonly proved: boolean;
  };
  /** Translators that the router falls back to, in its order: for programs that `active` cannot run or is kept from. */
  readonly fallbacks?: readonly { readonly name: TranslatorName; readonly version: string }[];
  /** binfmt_misc entries for the same magic that were found and removed. */
  readonly removedHandlers: readonly string[];
  readonly reason?: string;
}

export interface CacheStatus {
  readonly backend: 'dynacache' | 'rosettad' | 'none';
  readonly state: 'starting' | 'on' | 'off' | 'failed';
  readonly reason?: string;
}

/** `PUT /v1/translator`: registers another translator of the share; answers {@link TranslatorStatus}. */
export interface TranslatorSwitchRequest {
  readonly name: TranslatorName;
}

/** `POST /v1/time` */
export interface TimeRequest {
  /** Host wall clock, Unix ms. */
  readonly timeMs: number;
}
export interface TimeResult {
  /** Guest minus host before the correction, ms. */
  readonly skewMs: number;
  readonly corrected: boolean;
}

/** `POST /v1/shutdown`: answers, then syncs, unmounts and powers off. `POST /v1/restart` restarts the agent alone. */

/** Query of `GET /v1/exec` (with `Upgrade`), as base64url JSON in the `x-rvm-exec` header. */
export interface ExecRequest {
  /** Program and arguments; at least one element. */
  readonly argv: readonly string[];
  /** Added to the guest's own environment, in which the translator's variables are set. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute; default `/` (of `root`, when that is given). */
  readonly cwd?: string;
  /**
   * Absolute folder in the guest to run in instead of the guest's own root, such as an amd64 Debian tree: with /dev
   * (so also {@link RVM_DIR}), /proc, /sys and /tmp there, in a mount namespace of its own.
   */
  readonly root?: string;
  /** Numeric; default 0. */
  readonly uid?: number;
  readonly gid?: number;
  /** Present: run on a terminal of this size (stdout and stderr are then one stream). */
  readonly tty?: {
    readonly columns: number;
    readonly rows: number;
    readonly term: string;
  };
  /** False: stdin is at end of file from the start. */
  readonly stdin: boolean;
}

/**
 * Exec stream, both ways: frames of 1 byte type, 4 bytes length (big endian), payload. A sender keeps payloads at or
 * under {@link MAX_FRAME_BYTES}; a receiver ends the connection on anything larger.
 */
export const FRAME_HEADER_BYTES = 5;
export const MAX_FRAME_BYTES = 64 * 1024;

export const FrameType = {
  /** host → guest: bytes for stdin. */
  stdin: 0,
  /** host → guest: stdin is at its end; empty payload. */
  stdinEnd: 1,
  /** guest → host. */
  stdout: 2,
  stderr: 3,
  /** host → guest: JSON `{columns, rows}`. */
  resize: 4,
  /** host → guest: a signal's name, such as `SIGINT`. */
  signal: 5,
  /** guest → host, last frame: JSON {@link ExitStatus}. */
  exit: 6,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export interface ExitStatus {
  /** Exit code, or null when a signal ended the program. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Set when the program could not be started: then `code` is 126 (not executable) or 127 (not found). */
  readonly error?: string;
}

/** Body of every answer with a status of 400 and above. */
export interface AgentErrorBody {
  readonly error: {
    readonly code: string;
    readonly what: string;
    readonly why: string;
    readonly fix: string;
  };
}

/** One line of `/var/log/rosetta-vm/agent.log` (newline JSON) and of `GET /v1/logs?follow=1`. */
export interface LogLine {
  /** Unix ms. */
  readonly timeMs: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Part that speaks: `agent`, `translator`, `cache`, `exec`, `kernel`, … */
  readonly part: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, string | number | boolean | null>>;
}
