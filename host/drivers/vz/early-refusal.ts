/**
 * Numbers for what is refused before the framework is asked. Whoever looks first, `--json` says by which VZError the
 * framework refuses such a configuration. Inferred from its headers, not seen: on no Mac has it been asked for these.
 */
import { type ErrorFacts, RosettaVmError } from '../../errors.ts';
import { errorName } from './error-names.ts';

const VZ_DOMAIN = 'VZErrorDomain';
const vzFacts = (code: number): ErrorFacts => ({ domain: VZ_DOMAIN, code, name: errorName(VZ_DOMAIN, code) });

/**
 * `validateWithError:` has one number for whatever is wrong with a configuration, a missing entitlement included
 * (VZVirtualMachineConfiguration.h).
 */
export const INVALID_CONFIGURATION: ErrorFacts = vzFacts(2);
/** A disk image that is there and is none, such as one of part of a sector (VZError.h). */
const INVALID_DISK_IMAGE: ErrorFacts = vzFacts(5);

/** The error with the framework's number among its facts; what is no {@link RosettaVmError} stays as it is. */
export function asEarlyRefusal(error: unknown): unknown {
  if (!(error instanceof RosettaVmError) || 'domain' in error.facts) return error;
  const { code, what, why, fix, facts, cause } = error;
  const isDiskImage = 'role' in facts && (code === 'E_SIZE' || code === 'E_CORRUPT');
  const number = isDiskImage ? INVALID_DISK_IMAGE : INVALID_CONFIGURATION;
  return new RosettaVmError(code, { what, why, fix, facts: { ...facts, ...number }, cause });
}

/**
 * The same for a spec, or a plan that was to be made of one: of what is refused there, the framework would have been given
 * CPUs, memory and disks. All else is rosetta-vm's own.
 */
export function asSpecRefusal(error: unknown): unknown {
  return error instanceof RosettaVmError && isOfConfiguration(error) ? asEarlyRefusal(error) : error;
}

function isOfConfiguration({ code, facts }: RosettaVmError): boolean {
  if ('url' in facts || 'available' in facts) return true;
  if ('path' in facts) return code !== 'E_PATH_TOO_LONG';
  // A size below what a guest can do with is rosetta-vm's own limit.
  if (facts.field === 'memory') return Number(facts.bytes) > Number(facts.max);
  return facts.key === 'cpus' && (facts.problem === 'too_big' || facts.problem === 'too_small');
}
