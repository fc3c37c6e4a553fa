/** Failures as the stand-in of the native addon gives them. Texts that are quoted by users are marked with where. */
import { ADDON_DOMAIN, type VzFailure } from '../../host/drivers/vz/addon.ts';

export function vzFailure(code: number, message: string, subject = '', reason = ''): VzFailure {
  return { domain: 'VZErrorDomain', code, message, reason, subject };
}

/** An errno of macOS. */
export function posixFailure(code: number, message: string, subject = '', reason = ''): VzFailure {
  return { domain: 'NSPOSIXErrorDomain', code, message, reason, subject };
}

/** What the addon itself refuses: one of ADDON_FAILURES. */
export function addonFailure(code: number, message: string, subject = '', reason = ''): VzFailure {
  return { domain: ADDON_DOMAIN, code, message, reason, subject };
}

/** The Error that the addon's functions throw. */
export function thrown(failure: VzFailure): Error {
  return Object.assign(new Error(failure.message), { failure: JSON.stringify(failure) });
}

export const NOT_ENTITLED = vzFailure(
  2,
  'Invalid virtual machine configuration. The process doesn’t have the “com.apple.security.virtualization” entitlement.',
);

/** apple/container#103. */
export const ROSETTA_NOT_INSTALLED = vzFailure(2, 'Rosetta is not installed.', 'rosetta');
