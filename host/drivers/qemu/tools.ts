/** What the driver needs of the host, found by probe.ts and used by arguments.ts: pure data. */

export type Accelerator = 'kvm' | 'tcg';

/** The two programs called virtiofsd: QEMU's own in C (until 7.2) and the Rust one that followed it. */
export interface VirtiofsdTool {
  readonly path: string;
  readonly flavour: 'c' | 'rust';
  /** It refuses writes itself (`--readonly`, the Rust one from 1.13 on). */
  readonly readOnlyOption: boolean;
  /** It is started by an ordinary user. */
  readonly rootless: boolean;
  /**
   * Words that enter a mount namespace of its own (unshare(1)), in which a share can be made read-only for a virtiofsd
   * that cannot do it; for an ordinary user also a user namespace. Empty when none is needed.
   */
  readonly namespace: readonly string[];
}

export interface QemuTools {
  readonly qemu: string;
  readonly accelerator: Accelerator;
  /** util-linux's setpriv: the kernel kills the child when this process dies (prctl(2), PR_SET_PDEATHSIG). */
  readonly setpriv: string;
  readonly virtiofsd: VirtiofsdTool;
  readonly vhostDeviceVsock: string;
}
