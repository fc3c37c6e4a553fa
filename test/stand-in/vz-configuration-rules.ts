/** What the framework refuses of a configuration, and the addon before it (stand-in; see vz-addon.ts). */
import { statSync } from 'node:fs';
import type { VzConfiguration, VzDisk, VzFailure, VzHostReport } from '../../host/drivers/vz/addon.ts';
import { NOT_ENTITLED, posixFailure, ROSETTA_NOT_INSTALLED, vzFailure } from './vz-failures.ts';

const MIB = 1024 * 1024;
const ENOENT = 2;

/** The first refusal, or null. Order: the addon looks at files while it builds, `validateWithError:` comes last. */
export function checkConfiguration(configuration: VzConfiguration, report: VzHostReport): VzFailure | null {
  return (
    checkMachineIdentifier(configuration.machineIdentifier) ??
    checkFile(configuration.bootLoader.kernelURL, 'bootLoader.kernelURL') ??
    firstOf(configuration.disks, (disk, index) => checkDisk(disk, `disks[${index}]`)) ??
    firstOf(configuration.shares, ({ tag, path }, index) => checkShare(tag, path, `shares[${index}]`)) ??
    (configuration.rosetta !== null && !report.rosetta.share
      ? (report.rosetta.error ?? ROSETTA_NOT_INSTALLED)
      : null) ??
    checkLimits(configuration, report) ??
    (report.entitled ? null : NOT_ENTITLED)
  );
}

function firstOf<T>(items: readonly T[], check: (item: T, index: number) => VzFailure | null): VzFailure | null {
  for (const [index, item] of items.entries()) {
    const failure = check(item, index);
    if (failure !== null) return failure;
  }
  return null;
}

/** `initWithDataRepresentation:` gives nil for what is none. The real representation is Apple's own. */
function checkMachineIdentifier(text: string): VzFailure | null {
  if (Buffer.from(text, 'base64').toString('base64') === text) return null;
  return vzFailure(2, 'The machine identifier is invalid.', 'machineIdentifier');
}

function checkFile(path: string, subject: string): VzFailure | null {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return null;
  return posixFailure(ENOENT, 'No such file or directory', subject);
}

function checkDisk({ attachment }: VzDisk, subject: string): VzFailure | null {
  if (attachment.kind === 'nbd') {
    if (URL.canParse(attachment.url) && new URL(attachment.url).host !== '') return null;
    if (/^nbds?\+unix:/.test(attachment.url)) return null;
    // openai/tart#877.
    return vzFailure(2, 'Invalid virtual machine configuration. The host name is invalid.', subject);
  }
  const missing = checkFile(attachment.path, subject);
  if (missing !== null || attachment.kind === 'block') return missing;
  if (statSync(attachment.path).size % 512 === 0) return null;
  return vzFailure(5, 'Invalid disk image.', subject, 'The size is not a multiple of 512.');
}

function checkShare(tag: string, path: string, subject: string): VzFailure | null {
  const bytes = Buffer.byteLength(tag);
  if (bytes === 0 || bytes >= 36) return vzFailure(2, 'The tag is invalid.', subject);
  return checkFile(path, subject);
}

function checkLimits({ CPUCount, memorySize }: VzConfiguration, { cpus, memory }: VzHostReport): VzFailure | null {
  if (CPUCount < cpus.minimum || CPUCount > cpus.maximum) {
    return vzFailure(2, 'Invalid virtual machine configuration. The number of CPUs is invalid.', 'CPUCount');
  }
  if (memorySize % MIB === 0 && memorySize >= memory.minimum && memorySize <= memory.maximum) return null;
  return vzFailure(2, 'Invalid virtual machine configuration. The memory size is invalid.', 'memorySize');
}
