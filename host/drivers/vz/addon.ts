/**
 * The contract between the driver (TypeScript) and the native addon `vz.node` (native/): texts and descriptors, no
 * object of one world in the other. Replies and events of a machine come as newline JSON over a socketpair, because
 * thread-safe functions race with the environment's teardown (nodejs/node#55706) and a socket's lifetime is libuv's.
 * The helper executable that could replace the addon would speak the same lines.
 */

/** Rises when a line, a verb or a field of {@link VzConfiguration} changes its meaning. */
export const ADDON_PROTOCOL = 1;

export interface VzAddon {
  /** {@link ADDON_PROTOCOL} that the addon was built for. */
  readonly protocol: number;
  /** {@link VzHostReport} as JSON. Asks the framework, changes nothing, never throws. */
  hostReport(): string;
  /**
   * Base64 of a new VZGenericMachineIdentifier's dataRepresentation: what a machine is given when it is created and
   * keeps, since a saved state is restored only under the identifier that it was saved under. Needs no entitlement.
   */
  newMachineIdentifier(): string;
  /**
   * Makes the configuration and the machine on a serial queue of its own; starts nothing. `configuration` is
   * {@link VzConfiguration} as JSON. `events` is the reader's end of an AF_UNIX stream socketpair and belongs to the
   * caller; lines on it are {@link VzLine}. A reader that lets 1 MiB of lines wait loses the channel: it sees the end
   * although the machine lives. Throws an Error with a property `failure`: {@link VzFailure} as JSON.
   */
  createMachine(configuration: string): { readonly handle: number; readonly events: number };
  /**
   * Does one verb on the machine's queue; returns at once, the reply is a line with this `id`. An unknown handle or
   * verb is answered by an exception here (a fault of the caller).
   */
  request(handle: number, id: number, verb: VzVerb, argument: string | number | null): void;
  /**
   * Lets go of the machine and its delegates on its queue, closes the connections that it kept and the writer's end of
   * the socketpair: the end of `events` is the sign that all is gone. A second call does nothing.
   */
  closeMachine(handle: number): void;
  /**
   * `installRosettaWithCompletionHandler:`, which shows the system's prompt. One line, a {@link VzReply} with id 0,
   * then the end.
   */
  installRosetta(): { readonly events: number };
  /** Lines `{"event":"wake"}` when the Mac wakes (IORegisterForSystemPower); closing the descriptor ends it. */
  watchWake(): { readonly events: number };
}

/**
 * - `start`, `pause`, `resume`, `requestStop`, `stop`: no argument, `value` null.
 * - `connect`: a vsock port; `value` is {@link VzConnection}.
 * - `release`: the `connection` of a {@link VzConnection} whose descriptor was closed.
 * - `save`, `restore`: an absolute path. Both ask `validateSaveRestoreSupportWithError:` first.
 * - `balloon`: target memory, bytes.
 */
export type VzVerb =
  | 'start'
  | 'pause'
  | 'resume'
  | 'requestStop'
  | 'stop'
  | 'connect'
  | 'release'
  | 'save'
  | 'restore'
  | 'balloon';

/** `fd` is a dup (F_DUPFD_CLOEXEC) and the caller's; the framework's connection is kept until `release`. */
export interface VzConnection {
  readonly connection: number;
  readonly fd: number;
}

/** Domain of what the addon itself refuses, before or instead of the framework; codes: {@link ADDON_FAILURES}. */
export const ADDON_DOMAIN = 'RosettaVm';
export const ADDON_FAILURES = {
  /** A text, field or argument that is not as this file says: a fault of the caller. */
  invalid: 1,
  /** Needs a later macOS; `reason` names the version. */
  needsNewerMacOS: 2,
  /** Exists only in an arm64 process (Rosetta, save and restore, the Mac keyboard). */
  needsArm64: 3,
  /** The machine is closed, or has no such device or connection. */
  absent: 4,
  /** More connections than the addon keeps at once (4096). */
  tooMany: 5,
} as const;

/** An NSError, or an NSException (domain `NSException`, code 0, its name in `message`). */
export interface VzFailure {
  /** `VZErrorDomain`, `NSPOSIXErrorDomain` (code: errno), `NSException`, {@link ADDON_DOMAIN}, … */
  readonly domain: string;
  readonly code: number;
  /** localizedDescription. */
  readonly message: string;
  /** localizedFailureReason, or empty. */
  readonly reason: string;
  /**
   * Which part of the configuration was being made, by its path in {@link VzConfiguration}: `disks[1]`, `shares[0]`,
   * `rosetta`, `bootLoader.kernelURL`, `machineIdentifier`, …; empty when it is not about one.
   */
  readonly subject: string;
}

export type VzReply =
  | { readonly id: number; readonly ok: true; readonly value: null | VzConnection }
  | { readonly id: number; readonly ok: false; readonly error: VzFailure };

/** Raw values of VZVirtualMachineState. */
export const VZ_STATES = [
  'stopped',
  'running',
  'paused',
  'error',
  'starting',
  'pausing',
  'resuming',
  'stopping',
  'saving',
  'restoring',
] as const;
export type VzState = (typeof VZ_STATES)[number];

export type VzEvent =
  | { readonly event: 'state'; readonly state: VzState }
  /** guestDidStopVirtualMachine: (error null) or virtualMachine:didStopWithError:. Not sent after `stop`. */
  | { readonly event: 'stopped'; readonly error: VzFailure | null }
  /** Delegate of the network block device attachment of `disks[disk]`. */
  | {
      readonly event: 'disk';
      readonly disk: number;
      readonly kind: 'connected' | 'error';
      readonly error: VzFailure | null;
    }
  /** virtualMachine:networkDevice:attachmentWasDisconnectedWithError:. */
  | { readonly event: 'network'; readonly error: VzFailure };

export type VzLine = VzReply | VzEvent | { readonly event: 'wake' };

/** What the framework says about this host. Sizes are bytes. */
export interface VzHostReport {
  /** NSProcessInfo.operatingSystemVersion, which may be made up for a program of an older SDK (host-report.ts). */
  readonly macOS: { readonly major: number; readonly minor: number; readonly patch: number };
  /** Of this process: an x86_64 one on Apple silicon runs under Rosetta (sysctl.proc_translated). */
  readonly architecture: 'arm64' | 'x86_64';
  readonly translated: boolean;
  /** VZVirtualMachine.isSupported. */
  readonly supported: boolean;
  /** Whether this process's executable carries com.apple.security.virtualization (SecTaskCopyValueForEntitlement). */
  readonly entitled: boolean;
  readonly cpus: { readonly minimum: number; readonly maximum: number };
  readonly memory: { readonly minimum: number; readonly maximum: number };
  readonly rosetta: {
    /** VZLinuxRosettaDirectoryShare.availability; `absent` where the class does not exist. */
    readonly availability: 'absent' | 'notSupported' | 'notInstalled' | 'installed';
    /** Whether `initWithError:` made a share, and its error where not. */
    readonly share: boolean;
    readonly error: VzFailure | null;
    /** VZLinuxRosettaUnixSocketCachingOptions.maximumPathLength, 0 before macOS 14. */
    readonly maximumSocketPathBytes: number;
    /** VZLinuxRosettaAbstractSocketCachingOptions.maximumNameLength, 0 before macOS 14. */
    readonly maximumSocketNameBytes: number;
  };
}

/**
 * What the addon makes a VZVirtualMachineConfiguration of. Names are the framework's; what has one sensible value for
 * a Linux guest (generic platform, virtio entropy, balloon, one vsock device, NAT) is not asked.
 */
export interface VzConfiguration {
  readonly label: string;
  readonly CPUCount: number;
  /** Bytes, a multiple of 1 MiB. */
  readonly memorySize: number;
  /** Base64 of VZGenericMachineIdentifier.dataRepresentation; empty for a new one that nobody keeps. */
  readonly machineIdentifier: string;
  readonly bootLoader: {
    /** Absolute paths, as everywhere here; the addon makes file URLs of them. */
    readonly kernelURL: string;
    readonly initialRamdiskURL: string | null;
    readonly commandLine: string;
  };
  readonly disks: readonly VzDisk[];
  readonly shares: readonly VzShare[];
  readonly rosetta: null | {
    readonly tag: string;
    /** Null: no caching (macOS 13, or the cache is off). */
    readonly caching:
      | null
      | { readonly kind: 'unix'; readonly path: string }
      | { readonly kind: 'abstract'; readonly name: string };
  };
  readonly network: { readonly MACAddress: string };
  /** File that the guest's console is appended to; the addon opens it and keeps the descriptor. */
  readonly serialLog: string;
  /** Null: no display. */
  readonly graphics: null | { readonly widthInPixels: number; readonly heightInPixels: number };
  /**
   * The USB keyboard and pointing device come with a display; `macKeyboard` adds the Mac's beside them (macOS 14), and
   * does nothing without a display.
   */
  readonly macKeyboard: boolean;
}

export interface VzDisk {
  readonly bus: 'nvme' | 'virtio' | 'usb';
  readonly readOnly: boolean;
  readonly attachment: /** Raw file; always `cached` + `fsync`: other modes corrupted Linux guests' disks (utmapp/UTM#4840). */
    | { readonly kind: 'file'; readonly path: string }
    /** macOS 14, VZDiskSynchronizationModeFull. */
    | { readonly kind: 'block'; readonly path: string }
    /** macOS 14; `timeout` in seconds. */
    | { readonly kind: 'nbd'; readonly url: string; readonly timeout: number };
}

export interface VzShare {
  readonly tag: string;
  readonly path: string;
  readonly readOnly: boolean;
}
