/** What the driver needs of the host, found by probe.ts and used by arguments.ts: pure data. */

export type Accelerator = 'kvm' | 'tcg';

/** The two programs called virtiofsd: QEMU's own in C (until 7.2) and the Rust one that followed it. */
export interface VirtiofsdTool {
  readonly path: string;
  readonly flavour: 'c' | 'rust';
  /** The Rust one from 1.13 on refuses writes itself (`--readonly`). */
  readonly readOnlyOption: boolean;
  /**
   * Words that run it with the rights its sandbox needs: none for root and for the Rust one, `unshare` into a user
   * namespace for an ordinary user with the C one, which insists on setgroups(2).
   */
  readonly prefix: readonly string[];
}

export interface QemuTools {
  readonly qemu: string;
  readonly accelerator: Accelerator;
  /** util-linux's setpriv: the kernel kills the child when this process dies (prctl(2), PR_SET_PDEATHSIG). */
  readonly setpriv: string;
  readonly virtiofsd: VirtiofsdTool;
  readonly vhostDeviceVsock: string;
}
