/**
 * What the addon refuses of a configuration while it builds it, and the framework at last (stand-in; see vz-addon.ts).
 * Subjects, domains and numbers are those of native/src/configuration.mm, paths.mm, storage.mm, sharing.mm and rosetta.mm.
 */
import { accessSync, closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import {
  ADDON_FAILURES,
  type VzConfiguration,
  type VzDisk,
  type VzFailure,
  type VzHostReport,
} from '../../host/drivers/vz/addon.ts';
import { MIB } from '../../host/spec/units.ts';
import { addonFailure, NOT_ENTITLED, posixFailure, ROSETTA_NOT_INSTALLED, vzFailure } from './vz-failures.ts';

/** Of macOS; these are Linux's too. */
const EINVAL = 22;
const EISDIR = 21;
const ENOTDIR = 20;
const ENOTBLK = 15;

type Refusal = VzFailure | null;

/** The first refusal, or null. Order: the parts as the addon makes them, `validateWithError:` comes last. */
export function checkConfiguration(configuration: VzConfiguration, report: VzHostReport): Refusal {
  const { machineIdentifier, bootLoader, disks, shares, network, serialLog } = configuration;
  return (
    checkMachineIdentifier(machineIdentifier) ??
    checkFile(bootLoader.kernelURL, 'bootLoader.kernelURL') ??
    (bootLoader.initialRamdiskURL === null
      ? null
      : checkFile(bootLoader.initialRamdiskURL, 'bootLoader.initialRamdiskURL')) ??
    firstOf(disks, (disk, index) => checkDisk(disk, `disks[${index}]`, report)) ??
    firstOf(shares, ({ tag, path }, index) => checkShare(tag, path, `shares[${index}]`)) ??
    checkRosetta(configuration, report) ??
    checkMacAddress(network.MACAddress) ??
    checkLog(serialLog) ??
    checkKeyboard(configuration, report) ??
    checkLimits(configuration, report) ??
    (report.entitled ? null : NOT_ENTITLED)
  );
}

function firstOf<T>(items: readonly T[], check: (item: T, index: number) => Refusal): Refusal {
  for (const [index, item] of items.entries()) {
    const failure = check(item, index);
    if (failure !== null) return failure;
  }
  return null;
}

/** `initWithDataRepresentation:` gives nil for what is none. The real representation is Apple's own. */
function checkMachineIdentifier(text: string): Refusal {
  if (Buffer.from(text, 'base64').toString('base64') === text) return null;
  const reason = 'It is not what VZGenericMachineIdentifier.dataRepresentation gave.';
  return addonFailure(ADDON_FAILURES.invalid, 'The machine identifier cannot be read.', 'machineIdentifier', reason);
}

/** Runs calls of the system; what they refuse is a failure of this subject. */
function asked(path: string, subject: string, complaint: string, work: () => Refusal): Refusal {
  if (!path.startsWith('/')) return addonFailure(ADDON_FAILURES.invalid, 'A path is not absolute.', subject, path);
  try {
    return work();
  } catch (error) {
    const { errno = 0, message } = error as NodeJS.ErrnoException;
    return posixFailure(-errno, `${path} ${complaint}`, subject, message);
  }
}

const found = (path: string, subject: string, look: (entry: Stats) => Refusal): Refusal =>
  asked(path, subject, 'cannot be found.', () => look(statSync(path)));

function checkFile(path: string, subject: string): Refusal {
  return found(path, subject, (entry) => {
    if (entry.isDirectory()) return posixFailure(EISDIR, `${path} is a directory.`, subject);
    return entry.isFile() ? null : posixFailure(EINVAL, `${path} is no regular file.`, subject);
  });
}

function checkDisk({ attachment, bus, readOnly }: VzDisk, subject: string, { macOS }: VzHostReport): Refusal {
  const needs14 = macOS.major < 14;
  if (attachment.kind === 'file') {
    const refusal = checkDiskFile(attachment.path, readOnly, subject);
    return refusal ?? (bus === 'nvme' && needs14 ? needsMacOS14('An NVMe disk', subject) : null);
  }
  if (needs14) return needsMacOS14(attachment.kind === 'nbd' ? 'A network block device' : 'A block device', subject);
  return attachment.kind === 'nbd'
    ? checkNbdUrl(attachment.url, subject)
    : checkDevice(attachment.path, readOnly, subject);
}

function checkDiskFile(path: string, readOnly: boolean, subject: string): Refusal {
  const mode = readOnly ? constants.R_OK : constants.R_OK | constants.W_OK;
  const complaint = readOnly ? 'cannot be read.' : 'cannot be written to.';
  return (
    checkFile(path, subject) ??
    asked(path, subject, complaint, () => {
      accessSync(path, mode);
      if (statSync(path).size % 512 === 0) return null;
      return vzFailure(5, 'Invalid disk image.', subject, 'The size is not a multiple of 512.');
    })
  );
}

function checkDevice(path: string, readOnly: boolean, subject: string): Refusal {
  return (
    found(path, subject, (entry) =>
      entry.isBlockDevice() || entry.isCharacterDevice()
        ? null
        : posixFailure(ENOTBLK, `${path} is no disk device.`, subject),
    ) ??
    asked(path, subject, 'cannot be opened.', () => {
      closeSync(openSync(path, readOnly ? constants.O_RDONLY : constants.O_RDWR));
      return null;
    })
  );
}

/** Of RFC 3986; NSURL, asked not to escape anything, makes nothing of a text with another character. */
const URL_CHARACTERS = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

function checkNbdUrl(url: string, subject: string): Refusal {
  if (!URL_CHARACTERS.test(url)) {
    return addonFailure(ADDON_FAILURES.invalid, 'An address is no URL.', `${subject}.attachment.url`, url);
  }
  if (URL.canParse(url) && new URL(url).host !== '') return null;
  if (/^nbds?\+unix:/.test(url)) return null;
  // openai/tart#877.
  return vzFailure(2, 'Invalid virtual machine configuration. The host name is invalid.', subject);
}

function checkShare(tag: string, path: string, subject: string): Refusal {
  return (
    found(path, subject, (entry) =>
      entry.isDirectory() ? null : posixFailure(ENOTDIR, `${path} is no directory.`, subject),
    ) ?? checkTag(tag, subject)
  );
}

function checkTag(tag: string, subject: string): Refusal {
  const bytes = Buffer.byteLength(tag);
  return bytes === 0 || bytes >= 36 ? vzFailure(2, 'The tag is invalid.', subject) : null;
}

function checkRosetta({ rosetta }: VzConfiguration, report: VzHostReport): Refusal {
  if (rosetta === null) return null;
  if (report.architecture !== 'arm64') return needsArm64('Rosetta for Linux', 'rosetta');
  if (!report.rosetta.share) return report.rosetta.error ?? ROSETTA_NOT_INSTALLED;
  if (rosetta.caching !== null && report.macOS.major < 14) return needsMacOS14('Rosetta’s cache', 'rosetta.caching');
  return checkTag(rosetta.tag, 'rosetta');
}

function checkMacAddress(text: string): Refusal {
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return null;
  return addonFailure(ADDON_FAILURES.invalid, 'The MAC address cannot be read.', 'network.MACAddress', text);
}

/** Opened as the addon does it, which makes the file. */
function checkLog(path: string): Refusal {
  const subject = 'serialLog';
  return asked(path, subject, 'cannot be opened.', () => {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600);
    const isFile = fstatSync(fd).isFile();
    closeSync(fd);
    return isFile ? null : posixFailure(EINVAL, `${path} is no regular file.`, subject);
  });
}

function checkKeyboard({ graphics, macKeyboard }: VzConfiguration, report: VzHostReport): Refusal {
  if (graphics === null || !macKeyboard) return null;
  if (report.architecture !== 'arm64') return needsArm64('The Mac keyboard', 'macKeyboard');
  return report.macOS.major < 14 ? needsMacOS14('The Mac keyboard', 'macKeyboard') : null;
}

/** Of `validateWithError:`, which is about the whole: no subject. Its words are not known. */
function checkLimits({ CPUCount, memorySize }: VzConfiguration, { cpus, memory }: VzHostReport): Refusal {
  if (CPUCount < cpus.minimum || CPUCount > cpus.maximum) {
    return vzFailure(2, 'Invalid virtual machine configuration. The number of CPUs is invalid.');
  }
  if (memorySize % MIB === 0 && memorySize >= memory.minimum && memorySize <= memory.maximum) return null;
  return vzFailure(2, 'Invalid virtual machine configuration. The memory size is invalid.');
}

const needsMacOS14 = (what: string, subject: string): VzFailure =>
  addonFailure(ADDON_FAILURES.needsNewerMacOS, `${what} needs a later macOS.`, subject, 'It came with macOS 14.');

const needsArm64 = (what: string, subject: string): VzFailure =>
  addonFailure(ADDON_FAILURES.needsArm64, `${what} needs an arm64 process.`, subject);
