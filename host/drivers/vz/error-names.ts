/** Names of error numbers, for people and for `--json`: the framework reports numbers only. */
import { ADDON_DOMAIN, ADDON_FAILURES } from './addon.ts';

/**
 * VZErrorDomain: VZError.h of the macOS 15.2 and 27.0 SDKs. macOS 27 adds 40001 to 40003 and 50001 to 50002, whose names
 * are not in any source that was read.
 */
const VZ_ERRORS: Readonly<Record<number, string>> = {
  1: 'VZErrorInternal',
  2: 'VZErrorInvalidVirtualMachineConfiguration',
  3: 'VZErrorInvalidVirtualMachineState',
  4: 'VZErrorInvalidVirtualMachineStateTransition',
  5: 'VZErrorInvalidDiskImage',
  6: 'VZErrorVirtualMachineLimitExceeded',
  7: 'VZErrorNetworkError',
  8: 'VZErrorOutOfDiskSpace',
  9: 'VZErrorOperationCancelled',
  10: 'VZErrorNotSupported',
  11: 'VZErrorSave',
  12: 'VZErrorRestore',
  10001: 'VZErrorRestoreImageCatalogLoadFailed',
  10002: 'VZErrorInvalidRestoreImageCatalog',
  10003: 'VZErrorNoSupportedRestoreImagesInCatalog',
  10004: 'VZErrorRestoreImageLoadFailed',
  10005: 'VZErrorInvalidRestoreImage',
  10006: 'VZErrorInstallationRequiresUpdate',
  10007: 'VZErrorInstallationFailed',
  20001: 'VZErrorNetworkBlockDeviceNegotiationFailed',
  20002: 'VZErrorNetworkBlockDeviceDisconnected',
  30001: 'VZErrorUSBControllerNotFound',
  30002: 'VZErrorDeviceAlreadyAttached',
  30003: 'VZErrorDeviceInitializationFailure',
  30004: 'VZErrorDeviceNotFound',
};

/** NSPOSIXErrorDomain: sys/errno.h of macOS, whose numbers above 34 are not Linux's. */
const POSIX_ERRORS: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  5: 'EIO',
  12: 'ENOMEM',
  13: 'EACCES',
  15: 'ENOTBLK',
  16: 'EBUSY',
  17: 'EEXIST',
  20: 'ENOTDIR',
  21: 'EISDIR',
  22: 'EINVAL',
  24: 'EMFILE',
  28: 'ENOSPC',
  30: 'EROFS',
  35: 'EAGAIN',
  54: 'ECONNRESET',
  57: 'ENOTCONN',
  60: 'ETIMEDOUT',
  61: 'ECONNREFUSED',
  63: 'ENAMETOOLONG',
  65: 'EHOSTUNREACH',
  69: 'EDQUOT',
};

/** NSCocoaErrorDomain: FoundationErrors.h. */
const COCOA_ERRORS: Readonly<Record<number, string>> = {
  4: 'NSFileNoSuchFileError',
  257: 'NSFileReadNoPermissionError',
  260: 'NSFileReadNoSuchFileError',
  513: 'NSFileWriteNoPermissionError',
  640: 'NSFileWriteOutOfSpaceError',
  642: 'NSFileWriteVolumeReadOnlyError',
};

/** What the addon itself refuses: its own names. */
const ADDON_ERRORS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(ADDON_FAILURES).map(([name, code]) => [code, name]),
);

const DOMAINS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  VZErrorDomain: VZ_ERRORS,
  NSPOSIXErrorDomain: POSIX_ERRORS,
  NSCocoaErrorDomain: COCOA_ERRORS,
  [ADDON_DOMAIN]: ADDON_ERRORS,
};

/** The constant's name, or null for a number that is in no list here. */
export function errorName(domain: string, code: number): string | null {
  return DOMAINS[domain]?.[code] ?? null;
}
