/**
 * MachinePlan: everything a driver needs, settled, as pure data. Made by {@link makePlan} from the spec, facts of the
 * host and the machine's record; `up --dry-run` prints it. Field names are Virtualization.framework's and virtio's.
 */
import type { TranslatorName } from '../../guest/protocol.ts';

export type DiskAttachment =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'block'; readonly path: string }
  | { readonly kind: 'nbd'; readonly url: string };

export interface DiskPlan {
  /** `system` is replaceable; `data` (cache, docker) is kept, and what is no `file` is nobody's to make or remove here. */
  readonly role: 'system' | 'data';
  readonly attachment: DiskAttachment;
  /** Size that a file must have before start, and that another disk must have at least; bytes, a multiple of 512. */
  readonly sizeBytes: number;
  readonly bus: 'nvme' | 'virtio' | 'usb';
  readonly readOnly: boolean;
  /** Place in the guest: bus, controller and namespace id, such as `/dev/nvme0n1`; on the virtio bus `/dev/vda`. */
  readonly guestDevice: string;
}

export interface SharePlan {
  /** virtiofs tag, under 36 bytes. */
  readonly tag: string;
  readonly path: string;
  readonly readOnly: boolean;
  /** Where the guest mounts it; null for the shares that the guest knows by tag. */
  readonly mountPoint: string | null;
}

/** Unix sockets of a running machine; each path stays under 104 bytes (sockaddr_un on macOS). */
export interface RuntimePlan {
  /** Folder of the sockets, mode 0700. */
  readonly directory: string;
  /** Control socket of the host process. */
  readonly control: string;
  /** Proxy to the agent's vsock port. */
  readonly agent: string;
  /** Docker's socket, for the docker command line. */
  readonly docker: string;
}

export interface MachinePlan {
  readonly schemaVersion: 1;
  readonly name: string;
  readonly driver: 'qemu' | 'vz';
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly boot: {
    readonly kernel: string;
    /** Only where it is needed: to set up a system disk, and to reach one on the virtio bus. NVMe boots directly. */
    readonly initialRamdisk: string | null;
    readonly commandLine: string;
  };
  readonly disks: readonly DiskPlan[];
  readonly shares: readonly SharePlan[];
  readonly translator: {
    readonly name: TranslatorName;
    /** Of the share that it is in. */
    readonly tag: string;
    /** Rosetta only: where programs in the guest look for its daemon; absent: nothing is cached. */
    readonly rosettaSocketPath?: string;
    /** Rosetta only: whether it understands argv[0] as binfmt_misc's flag P gives it (macOS 14). */
    readonly preserveArgv0?: boolean;
    /** Rosetta only: whether the guest's router stands before it. */
    readonly router?: boolean;
  };
  readonly cache: { readonly enabled: boolean; readonly limitBytes: number };
  readonly engine: { readonly enabled: boolean; readonly buildCacheBytes: number };
  readonly vsock: { readonly cid: number };
  readonly network: { readonly kind: 'nat'; readonly macAddress: string };
  /**
   * Base64 of VZGenericMachineIdentifier's dataRepresentation on a Mac, empty for a machine that nobody keeps; a UUID
   * elsewhere. Persisted.
   */
  readonly machineIdentifier: string;
  /**
   * File that takes the guest's serial console. A driver empties it at each start and then appends to it, since its
   * beginning is cut off when it gets long (host/machine/boot-log.ts).
   */
  readonly serialLog: string;
  readonly runtime: RuntimePlan;
  readonly qemu: { readonly accelerator: 'auto' | 'kvm' | 'tcg' };
}
