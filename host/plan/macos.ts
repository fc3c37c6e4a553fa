/** Versions of macOS: which one this is, and what came with which. */
import { RosettaVmError } from '../errors.ts';

export interface MacOSVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/**
 * The macOS of a Darwin kernel's release (uname(3)), which no compatibility setting changes: to programs of an older SDK
 * macOS 26 calls itself 16. Darwin counts on by one a year, macOS by name: 22 is 13, 23 is 14, 24 is 15, 25 is 26; that
 * 26 is 27 is not confirmed. The minor number is macOS's own up to a patch, which Darwin does not have. Throws
 * `E_HOST_UNSUPPORTED` for what is no such release, and before macOS 13.
 */
export function macOSOfDarwin(release: string): MacOSVersion {
  const [, darwin, minor] = /^(\d{1,3})\.(\d{1,3})\./.exec(release) ?? [];
  const year = Number(darwin);
  if (year >= 22) return { major: year < 25 ? year - 9 : year + 1, minor: Number(minor), patch: 0 };
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'This macOS is too old.',
    why: `Its kernel is Darwin ${release}; Rosetta for Linux came with macOS 13 (Darwin 22).`,
    fix: 'Update macOS to 14 or later; the translation cache needs that too.',
    facts: { capability: 'macos', darwin: release },
  });
}

/**
 * Virtualization.framework got with macOS 14: NVMe disks, block devices and NBD, caching and argv[0] of Rosetta, saving
 * (SDK availability). The one place of TypeScript that says so; the addon has it at each `@available`.
 */
export const isMacOS14OrLater = ({ major }: Pick<MacOSVersion, 'major'>): boolean => major >= 14;

export const macOSText = ({ major, minor, patch }: MacOSVersion): string =>
  patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`;
