/**
 * From what the framework says about this Mac to what `doctor` prints and to what a start needs. Pure. The framework is
 * asked for Rosetta, never a file or a process: from macOS 27 on the translator is part of the system, and what other
 * programs look for (`oahd`, `arch -x86_64`) is not there. Nothing here was run on a Mac.
 */
import { RosettaVmError } from '../../errors.ts';
import { isMacOS14OrLater, macOSText } from '../../plan/macos.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { formatSize } from '../../spec/units.ts';
import type { Capability, HostCapabilities } from '../driver.ts';
import type { VzHostReport } from './addon.ts';
import { INVALID_CONFIGURATION } from './early-refusal.ts';
import { failureFacts, wordsOf } from './errors.ts';

/** Virtiofs for a Rosetta share came with it. */
const OLDEST_MACOS = 13;
/** From here on the translator for Linux machines is part of macOS: there is nothing to install. */
export const BUILT_IN_ROSETTA_MACOS = 27;

/** Without these no machine starts. */
const REQUIRED: readonly string[] = ['macos', 'node-architecture', 'virtualization'];

/** softwareupdate(8). For those who cannot answer the framework's prompt, or whose prompt hangs (lima's hint). */
export const INSTALL_ROSETTA_COMMAND = 'softwareupdate --install-rosetta --agree-to-license';
const INSTALL_ROSETTA = `Run \`${INSTALL_ROSETTA_COMMAND}\`.`;
const OTHER_TRANSLATOR = 'use another translator (translator: box64)';

export function describeMac(report: VzHostReport): HostCapabilities {
  const capabilities = [
    macosCapability(report),
    nodeCapability(report),
    virtualizationCapability(report),
    entitlementCapability(report),
    rosettaCapability(report),
    cacheCapability(report),
    saveRestoreCapability(report),
  ];
  const usable = capabilities.every(({ id, status }) => status !== 'missing' || !REQUIRED.includes(id));
  return { driver: 'vz', usable, capabilities };
}

/** The capabilities of a Mac, or of what is none, whose addon cannot be asked. */
export function describeWithoutAddon({ what, why, fix, facts }: RosettaVmError): HostCapabilities {
  const id = typeof facts.capability === 'string' ? facts.capability : 'addon';
  return { driver: 'vz', usable: false, capabilities: [{ id, status: 'missing', what, why, fix }] };
}

/** What the plan needs of any process. Throws `E_HOST_UNSUPPORTED`, or `E_HOST_MISSING` for Rosetta. */
export function requireMac(report: VzHostReport, plan: MachinePlan): void {
  const { capabilities } = describeMac(report);
  const missing = capabilities.find(({ id, status }) => status === 'missing' && REQUIRED.includes(id));
  if (missing !== undefined) throw unsupported(missing);
  if (plan.translator.name !== 'rosetta') return;
  const rosetta = capabilities.find(({ id }) => id === 'rosetta');
  if (rosetta?.status === 'missing') {
    throw new RosettaVmError('E_HOST_MISSING', {
      what: `${rosetta.what}.`,
      why: rosetta.why,
      fix: rosetta.fix,
      facts: { capability: 'rosetta', ...(report.rosetta.error === null ? {} : failureFacts(report.rosetta.error)) },
    });
  }
}

/** What only the process that runs a machine needs. Throws `E_HOST_UNSUPPORTED`. */
export function requireEntitlement({ entitled }: VzHostReport): void {
  if (entitled) return;
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'This process may not run virtual machines.',
    why: 'Its executable is not signed with com.apple.security.virtualization.',
    fix: 'Run `rosetta-vm doctor`: it shows each step of making the signed copy of Node.js that may.',
    facts: {
      capability: 'entitlement',
      entitlement: 'com.apple.security.virtualization',
      ...INVALID_CONFIGURATION,
    },
  });
}

/** Saving came with macOS 14, for arm64 (VZVirtualMachine.h). */
export function canSave({ macOS, architecture }: VzHostReport): boolean {
  return isMacOS14OrLater(macOS) && architecture === 'arm64';
}

export function versionOf({ macOS }: VzHostReport): string {
  return `macOS ${macOSText(macOS)}`;
}

function unsupported({ id, what, why, fix }: Capability): RosettaVmError {
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `${what}.`,
    why,
    fix: fix || 'Use a Mac with Apple silicon, or Linux.',
    facts: { capability: id },
  });
}

function ok(id: string, what: string): Capability {
  return { id, status: 'ok', what, why: '', fix: '' };
}

function macosCapability(report: VzHostReport): Capability {
  const what = versionOf(report);
  const { major } = report.macOS;
  if (isMacOS14OrLater(report.macOS)) return ok('macos', what);
  if (major >= OLDEST_MACOS) {
    const why =
      'Before macOS 14 there is no cache of translations, no NVMe disk, no network block device and no saving.';
    return { id: 'macos', status: 'degraded', what, why, fix: 'Update to macOS 14 or newer.' };
  }
  const why = `macOS ${OLDEST_MACOS} is the oldest whose Virtualization.framework has what a machine needs.`;
  return { id: 'macos', status: 'missing', what: `${what} is too old`, why, fix: 'Update macOS.' };
}

function nodeCapability({ architecture, translated }: VzHostReport): Capability {
  const id = 'node-architecture';
  if (architecture === 'arm64') return ok(id, 'Node.js runs as arm64');
  if (translated) {
    return {
      id,
      status: 'missing',
      what: 'Node.js runs as x86_64 on Apple silicon, under Rosetta',
      why: 'A translated process is shown neither Rosetta for Linux nor arm64 machines.',
      fix: 'Install the arm64 build of Node.js (in a terminal that does not itself run under Rosetta), and rosetta-vm with it.',
    };
  }
  return {
    id,
    status: 'missing',
    what: 'This Mac has an Intel processor',
    why: 'It runs x86_64 programs without help, and it cannot run an arm64 machine.',
    fix: '',
  };
}

function virtualizationCapability({ supported, cpus, memory }: VzHostReport): Capability {
  const id = 'virtualization';
  if (supported) {
    return ok(id, `Virtualization.framework: up to ${cpus.maximum} CPUs and ${formatSize(memory.maximum)} a machine`);
  }
  return {
    id,
    status: 'missing',
    what: 'Virtualization.framework does not work here',
    why: 'It says that this hardware does not support it, as inside a virtual machine.',
    fix: 'Run it on a Mac itself, not in a virtual machine.',
  };
}

/** Of the process that asks. Machines run in a process of their own, on a signed copy, so this does not stop anything. */
function entitlementCapability({ entitled }: VzHostReport): Capability {
  const id = 'entitlement';
  if (entitled) return ok(id, 'This process may run virtual machines');
  return {
    id,
    status: 'degraded',
    what: 'This process itself may not run virtual machines',
    why: 'Node.js is not signed with com.apple.security.virtualization; machines run on a copy that is.',
    fix: '',
  };
}

function rosettaCapability(report: VzHostReport): Capability {
  const id = 'rosetta';
  const { availability, share, error } = report.rosetta;
  // That the share can be made is the proof; what `availability` says is only why not.
  if (share) return ok(id, `Rosetta for Linux (${versionOf(report)})`);
  const builtIn = report.macOS.major >= BUILT_IN_ROSETTA_MACOS;
  const missing = (what: string, why: string, fix: string): Capability => ({ id, status: 'missing', what, why, fix });
  const said = error === null ? '' : ` The framework says: ${wordsOf(error)}`;
  switch (availability) {
    case 'notInstalled':
      return builtIn
        ? missing(
            'Rosetta for Linux cannot be used',
            `It is part of ${versionOf(report)}, and the framework does not have it ready.${said}`,
            `Restart the Mac and install pending updates of macOS; until then ${OTHER_TRANSLATOR}.`,
          )
        : missing('Rosetta is not installed', `macOS installs it when it is asked for.${said}`, INSTALL_ROSETTA);
    case 'installed':
      return missing(
        'Rosetta for Linux cannot be used',
        `It is installed, and yet no share of it could be made.${said}`,
        `Install pending updates of macOS and restart the Mac; until then ${OTHER_TRANSLATOR}.`,
      );
    case 'notSupported':
      return missing(
        'Rosetta for Linux is not supported here',
        `The framework says so, as it does inside a virtual machine.${said}`,
        `There is no way to have it on this Mac: ${OTHER_TRANSLATOR}.`,
      );
    case 'absent':
      return missing(
        'There is no Rosetta for Linux here',
        'It needs macOS 13 on Apple silicon and an arm64 Node.js.',
        `Update macOS or Node.js, or ${OTHER_TRANSLATOR}.`,
      );
  }
}

function cacheCapability(report: VzHostReport): Capability {
  const id = 'translation-cache';
  const { share, maximumSocketPathBytes } = report.rosetta;
  const status = 'degraded';
  const what = 'No cache of Rosetta’s translations';
  if (!share) return { id, status, what, why: 'There is no Rosetta to make them.', fix: '' };
  if (isMacOS14OrLater(report.macOS) && maximumSocketPathBytes > 0) {
    return ok(id, 'Rosetta’s translations can be kept and shared');
  }
  const why = `It needs macOS 14; this is ${versionOf(report)}.`;
  return { id, status, what, why, fix: 'Update to macOS 14 or newer. Machines work without it, slower.' };
}

function saveRestoreCapability(report: VzHostReport): Capability {
  if (canSave(report)) return ok('save-restore', 'A paused machine can be saved to a file of this Mac');
  return {
    id: 'save-restore',
    status: 'degraded',
    what: 'A machine cannot be saved to a file',
    why: 'It needs macOS 14 on Apple silicon.',
    fix: '',
  };
}
