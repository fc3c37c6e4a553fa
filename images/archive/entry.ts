/** A file of a Unix file system, outside of any: what tar and cpio archives hold. */

interface Common {
  /** Relative, without `.`, `..` or empty components; the root itself is the empty string. Bytes as UTF-8. */
  readonly path: string;
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export type Entry =
  | (Common & { readonly type: 'file'; readonly content: Buffer })
  | (Common & { readonly type: 'directory' })
  /** `target` is kept as it is: it is resolved where the archive is unpacked. */
  | (Common & { readonly type: 'symlink'; readonly target: string })
  /** `target` is the path of another entry of the archive. */
  | (Common & { readonly type: 'hardlink'; readonly target: string });
