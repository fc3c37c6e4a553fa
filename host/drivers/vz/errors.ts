/**
 * From the framework's error to ours: what happened in the user's words, why in the framework's, and what to do. The
 * domain, the number and its name are facts, so that `--json` and a script have them.
 */
import { type ErrorCode, type ErrorFacts, RosettaVmError } from '../../errors.ts';
import type { DiskPlan, MachinePlan } from '../../plan/plan.ts';
import { ADDON_DOMAIN, ADDON_FAILURES, type VzFailure, type VzVerb } from './addon.ts';
import { errorName } from './error-names.ts';

/** What was being done when it failed. */
export interface FailureContext {
  readonly plan: MachinePlan;
  readonly verb: VzVerb | 'configure';
}

interface Meaning {
  readonly code: ErrorCode;
  readonly what: string;
  /** Before the framework's own words. */
  readonly why?: string;
  readonly fix: string;
  readonly facts?: ErrorFacts;
}

/** The error for a failure of the framework. Codes that no list knows become `E_VM_FAILED` with all that was said. */
export function vzError(failure: VzFailure, context: FailureContext): RosettaVmError {
  const meaning = meaningOf(failure, context);
  const said = wordsOf(failure);
  return new RosettaVmError(meaning.code, {
    what: meaning.what,
    why: meaning.why === undefined ? said : `${meaning.why} ${said}`,
    fix: meaning.fix,
    facts: { machine: context.plan.name, verb: context.verb, ...failureFacts(failure), ...meaning.facts },
  });
}

/** What of a failure goes into the facts of an error. `name` is null for a number that is not known. */
export function failureFacts({ domain, code, message, reason, subject }: VzFailure): ErrorFacts {
  return { domain, code, name: errorName(domain, code), message, reason, subject };
}

/** The framework's sentences with the constant's name: `Invalid disk image. (VZErrorInvalidDiskImage, 5)`. */
export function wordsOf({ domain, code, message, reason }: VzFailure): string {
  const name = errorName(domain, code);
  const sentences = [message, message.includes(reason) ? '' : reason].filter((part) => part !== '').join(' ');
  return `${sentences || 'It gave no reason.'} (${name ?? domain}, ${code})`;
}

function meaningOf(failure: VzFailure, context: FailureContext): Meaning {
  if (failure.domain === 'VZErrorDomain') return ofVz(failure, context);
  if (failure.domain === ADDON_DOMAIN) return ofAddon(failure, context);
  const name = errorName(failure.domain, failure.code);
  if (name !== null && MISSING.has(name)) return missing(failure, context);
  if (name !== null && FORBIDDEN.has(name)) return forbidden(failure, context);
  if (name !== null && FULL.has(name)) return diskFull(context);
  if (failure.domain === 'NSException') return exception(context);
  return general(failure, context);
}

const MISSING: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'NSFileNoSuchFileError',
  'NSFileReadNoSuchFileError',
]);
const FORBIDDEN: ReadonlySet<string> = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'NSFileReadNoPermissionError',
  'NSFileWriteNoPermissionError',
  'NSFileWriteVolumeReadOnlyError',
]);
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'NSFileWriteOutOfSpaceError']);

function ofVz(failure: VzFailure, context: FailureContext): Meaning {
  switch (errorName(failure.domain, failure.code)) {
    case 'VZErrorInvalidVirtualMachineConfiguration':
      return invalidConfiguration(failure, context);
    case 'VZErrorInvalidVirtualMachineState':
    case 'VZErrorInvalidVirtualMachineStateTransition':
      return {
        code: 'E_STATE',
        what: `The machine ${context.plan.name} is in no state for that (${context.verb}).`,
        fix: 'Wait until it has reached the state that this needs, or stop it and start it again.',
      };
    case 'VZErrorInvalidDiskImage':
      return invalidDisk(failure, context);
    case 'VZErrorVirtualMachineLimitExceeded':
      return {
        code: 'E_STATE',
        what: `The machine ${context.plan.name} cannot start: too many virtual machines run on this Mac.`,
        fix: 'Stop another virtual machine, of rosetta-vm or of another program, and start this one again.',
      };
    case 'VZErrorOutOfDiskSpace':
      return diskFull(context);
    case 'VZErrorNetworkError':
      return { code: 'E_NETWORK', what: 'A download failed.', fix: 'Check the network, then run the same again.' };
    case 'VZErrorOperationCancelled':
      return { code: 'E_ABORTED', what: 'It was cancelled.', fix: 'Run the same again, and agree when macOS asks.' };
    case 'VZErrorNotSupported':
      return {
        code: 'E_HOST_UNSUPPORTED',
        what: `This Mac cannot do that (${context.verb}).`,
        fix: '`rosetta-vm doctor` says what works here.',
      };
    case 'VZErrorSave':
      return {
        code: 'E_VM_FAILED',
        what: `The state of the machine ${context.plan.name} could not be saved.`,
        why: 'It is still paused, and nothing is lost.',
        fix: 'Check the free space of the target, then save again; or stop the machine: its disks keep everything.',
      };
    case 'VZErrorRestore':
      return restoreRefused(failure, context);
    case 'VZErrorNetworkBlockDeviceNegotiationFailed':
    case 'VZErrorNetworkBlockDeviceDisconnected':
      return nbdFailed(failure, context);
    default:
      return general(failure, context);
  }
}

function ofAddon(failure: VzFailure, context: FailureContext): Meaning {
  const { plan, verb } = context;
  switch (failure.code) {
    case ADDON_FAILURES.needsNewerMacOS:
    case ADDON_FAILURES.needsArm64:
      return {
        code: 'E_HOST_UNSUPPORTED',
        what: `This Mac cannot do that for the machine ${plan.name} (${failure.subject || verb}).`,
        fix: 'Update macOS, or leave that out; `rosetta-vm doctor` says what works here.',
      };
    case ADDON_FAILURES.absent:
      return { code: 'E_STATE', what: `The machine ${plan.name} is gone (${verb}).`, fix: 'Start it again.' };
    case ADDON_FAILURES.invalid:
      return notUnderstood(failure, context);
    default:
      return general(failure, context);
  }
}

/** Two texts are the user's or come from a file; any other that the addon cannot read is rosetta-vm's own. */
function notUnderstood(failure: VzFailure, context: FailureContext): Meaning {
  const { name } = context.plan;
  const disk = diskOf(failure, context);
  if (disk?.attachment.kind === 'nbd' && failure.subject.endsWith('.attachment.url')) {
    return nbdUrlRefused(disk.attachment.url);
  }
  if (failure.subject === 'machineIdentifier') {
    return {
      code: 'E_CORRUPT',
      what: `The record of the machine ${name} is damaged: macOS does not know its identifier.`,
      fix: `Delete the machine with \`rosetta-vm delete ${name} --keep-data\` and create it again: it is given a new one.`,
      facts: { field: 'machineIdentifier' },
    };
  }
  return {
    code: 'E_INTERNAL',
    what: `The native addon does not understand what it was asked for the machine ${name}.`,
    fix: 'Install rosetta-vm again, so that it and its addon are of one version; if it stays, report it.',
  };
}

function invalidConfiguration(failure: VzFailure, context: FailureContext): Meaning {
  const { subject } = failure;
  const said = `${failure.message} ${failure.reason}`;
  if (/entitlement/i.test(said)) return NOT_ENTITLED;
  if (subject.startsWith('rosetta') || /rosetta/i.test(said)) return NO_ROSETTA;
  if (context.verb === 'save' || context.verb === 'restore') return notSaveable(failure, context);
  const disk = diskOf(failure, context);
  if (disk?.attachment.kind === 'nbd') return nbdUrlRefused(disk.attachment.url);
  if (disk !== null) return invalidDisk(failure, context);
  if (subject.startsWith('shares[')) {
    return {
      code: 'E_INVALID',
      what: 'A shared folder was refused.',
      fix: 'Correct the share in rosetta-vm.yaml: a folder that exists.',
    };
  }
  // A server that breaks the negotiation off has been seen to be reported so, with no subject (superhq-ai/shuru#25).
  if (context.verb === 'start' && /storage device attachment/i.test(said) && hasNbd(context.plan)) {
    return nbdFailed(failure, context);
  }
  return {
    code: 'E_VM_FAILED',
    what: `Virtualization.framework refuses the machine ${context.plan.name} as it is described.`,
    fix: '`rosetta-vm up --dry-run` shows the description; report it with this message.',
  };
}

/** Without it `validateWithError:` fails for whatever configuration (VZVirtualMachineConfiguration.h). */
const NOT_ENTITLED: Meaning = {
  code: 'E_HOST_UNSUPPORTED',
  what: 'This process may not run virtual machines.',
  why: 'Its executable is not signed with com.apple.security.virtualization.',
  fix: 'Run `rosetta-vm doctor`: it shows each step of making the signed copy of Node.js that may.',
  facts: { entitlement: 'com.apple.security.virtualization' },
};

const NO_ROSETTA: Meaning = {
  code: 'E_HOST_MISSING',
  what: 'Rosetta cannot be given to the machine.',
  fix: 'Run `rosetta-vm doctor`: it says whether Rosetta can be had here; or use another translator (translator: box64).',
  facts: { capability: 'rosetta' },
};

/** `validateSaveRestoreSupportWithError:` names the device in its text only; there is no list of what it takes. */
function notSaveable(failure: VzFailure, { plan }: FailureContext): Meaning {
  const device = /unsupported (.{1,60}?) in configuration/i.exec(`${failure.message} ${failure.reason}`)?.[1];
  return {
    code: 'E_HOST_UNSUPPORTED',
    what: `The machine ${plan.name} cannot be saved or restored with these devices.`,
    fix: 'Stop the machine and start it again: its disks keep everything.',
    facts: { devices: [device ?? failure.message] },
  };
}

/** Reasons as documented at saveMachineStateToURL: and restoreMachineStateFromURL: (VZVirtualMachine.h, macOS 14). */
function restoreRefused({ message, reason }: VzFailure, { plan }: FailureContext): Meaning {
  const otherHost = /permission denied/i.test(`${message} ${reason}`);
  return {
    code: otherHost ? 'E_HOST_UNSUPPORTED' : 'E_VM_FAILED',
    what: `The machine ${plan.name} cannot go on from its saved state.`,
    why: otherHost
      ? 'The state was saved on another Mac, and only that one can read it.'
      : 'The state fits only the machine and the macOS that it was saved with: same CPUs, memory, devices and version.',
    fix: 'Start the machine without it: its disks keep everything.',
  };
}

function invalidDisk(failure: VzFailure, context: FailureContext): Meaning {
  const disk = diskOf(failure, context);
  return {
    code: 'E_CORRUPT',
    what: disk === null ? 'A disk cannot be used.' : `The ${disk.role} disk cannot be used: ${placeOf(disk)}`,
    why: 'It must be a raw image of whole sectors of 512 bytes.',
    fix: 'It was cut off or changed from outside: restore it, or delete the machine and create it again.',
    facts: disk === null ? {} : { role: disk.role, path: placeOf(disk) },
  };
}

function nbdUrlRefused(url: string): Meaning {
  return {
    code: 'E_INVALID',
    what: `The network block device's address was refused: ${url}`,
    fix: 'Write it as nbd://host[:port]/export or nbd+unix:///export?socket=/path.',
    facts: { url },
  };
}

function nbdFailed(failure: VzFailure, context: FailureContext): Meaning {
  const disk = diskOf(failure, context) ?? context.plan.disks.find(({ attachment }) => attachment.kind === 'nbd');
  const place = disk === undefined ? 'a network block device' : placeOf(disk);
  return {
    code: 'E_NETWORK',
    what: `The server of ${place} does not answer as it should.`,
    fix: 'Check that the NBD server runs and offers that export, then start the machine again.',
    facts: disk === undefined ? {} : { role: disk.role, url: place },
  };
}

function missing(failure: VzFailure, context: FailureContext): Meaning {
  const { what, path } = thing(failure, context);
  return {
    code: 'E_NOT_FOUND',
    what: `The ${what} is missing${path === null ? '.' : `: ${path}`}`,
    fix: 'Put it back; an image is built again with `rosetta-vm image build`.',
    facts: path === null ? {} : { path },
  };
}

function forbidden(failure: VzFailure, context: FailureContext): Meaning {
  const { what, path } = thing(failure, context);
  return {
    code: 'E_STATE',
    what: `The ${what} cannot be opened${path === null ? '.' : `: ${path}`}`,
    fix: 'Give this user the right to read it, and to write it where the machine writes.',
    facts: path === null ? {} : { path },
  };
}

function diskFull({ plan }: FailureContext): Meaning {
  return {
    code: 'E_DISK_FULL',
    what: `The disk that the machine ${plan.name} uses is full.`,
    fix: 'Free some space, then run the same again. `rosetta-vm list` shows what each machine occupies.',
  };
}

function exception({ plan, verb }: FailureContext): Meaning {
  return {
    code: 'E_INTERNAL',
    what: `Virtualization.framework threw an exception for the machine ${plan.name} (${verb}).`,
    why: 'An argument was one that it does not take: a fault in rosetta-vm.',
    fix: 'Report this with all of this output and that of `rosetta-vm up --dry-run`.',
  };
}

function general({ subject }: VzFailure, { plan, verb }: FailureContext): Meaning {
  return {
    code: 'E_VM_FAILED',
    what: `Virtualization.framework failed at the machine ${plan.name} (${subject === '' ? verb : `${verb}, ${subject}`}).`,
    fix: 'Try again; `rosetta-vm doctor` checks this Mac, and the serial log says what the guest saw.',
  };
}

const hasNbd = ({ disks }: MachinePlan): boolean => disks.some(({ attachment }) => attachment.kind === 'nbd');

/** Disks of the configuration are in the plan's order (configuration.ts). */
function diskOf({ subject }: VzFailure, { plan }: FailureContext): DiskPlan | null {
  const index = /^disks\[(\d{1,3})\]/.exec(subject)?.[1];
  return index === undefined ? null : (plan.disks[Number(index)] ?? null);
}

export function placeOf({ attachment }: DiskPlan): string {
  return attachment.kind === 'nbd' ? attachment.url : attachment.path;
}

/** What the subject of a failure is called, and where it is. */
function thing(failure: VzFailure, context: FailureContext): { readonly what: string; readonly path: string | null } {
  const { plan } = context;
  const { subject } = failure;
  const disk = diskOf(failure, context);
  if (disk !== null) return { what: `${disk.role} disk`, path: placeOf(disk) };
  const share = /^shares\[(\d{1,3})\]/.exec(subject)?.[1];
  if (share !== undefined) return { what: 'shared folder', path: plan.shares[Number(share)]?.path ?? null };
  if (subject.startsWith('bootLoader.kernel')) return { what: 'kernel', path: plan.boot.kernel };
  if (subject.startsWith('bootLoader.initial')) return { what: 'initrd', path: plan.boot.initialRamdisk };
  if (subject.startsWith('serialLog')) return { what: 'serial log', path: plan.serialLog };
  return { what: context.verb === 'restore' ? 'saved state' : 'file', path: null };
}
