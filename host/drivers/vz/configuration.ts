/**
 * From a plan to what the addon makes a VZVirtualMachineConfiguration of. Pure: nothing is looked at, the report on the
 * Mac comes as data. What the framework would refuse, or answer with an exception, is refused here in the plan's words.
 */
import { RosettaVmError } from '../../errors.ts';
import { isMacOS14OrLater } from '../../plan/macos.ts';
import type { DiskPlan, MachinePlan } from '../../plan/plan.ts';
import { nbdHref, parseNbdUrl } from '../../spec/nbd-url.ts';
import { formatSize, MIB } from '../../spec/units.ts';
import type { VzConfiguration, VzDisk, VzHostReport } from './addon.ts';

/** VZVirtioFileSystemDeviceConfiguration's `validateTag:error:`: not empty and less than 36 bytes of UTF-8. */
const MAX_TAG_BYTES = 35;
/** As VZMACAddress's `initWithString:` takes it. */
const MAC_ADDRESS = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
/** After this the framework tries to connect again. Seconds; it does not say what its own default is. */
const NBD_TIMEOUT_S = 15;

/**
 * Makes the configuration. Disks and shares stay in the plan's order: failures and disk events name them by index.
 * Throws `E_SIZE`, `E_INVALID`, `E_PATH_TOO_LONG`, or `E_HOST_UNSUPPORTED` for what this macOS does not have.
 */
export function vzConfiguration(plan: MachinePlan, report: VzHostReport): VzConfiguration {
  checkLimits(plan, report);
  const rosetta = rosettaShare(plan, report);
  const shares = plan.shares.map(({ tag, path, readOnly }) => ({ tag, path, readOnly }));
  checkTags([...shares.map(({ tag }) => tag), ...(rosetta === null ? [] : [rosetta.tag])]);
  return {
    label: plan.name,
    CPUCount: plan.cpus,
    memorySize: plan.memoryMiB * MIB,
    machineIdentifier: plan.machineIdentifier,
    bootLoader: {
      kernelURL: plan.boot.kernel,
      initialRamdiskURL: plan.boot.initialRamdisk,
      commandLine: plan.boot.commandLine,
    },
    disks: plan.disks.map((disk) => vzDisk(disk, report)),
    shares,
    rosetta,
    network: { MACAddress: checkMacAddress(plan.network.macAddress) },
    serialLog: plan.serialLog,
    graphics: null,
    macKeyboard: false,
  };
}

function checkLimits(plan: MachinePlan, { cpus, memory }: VzHostReport): void {
  const bytes = plan.memoryMiB * MIB;
  if (plan.cpus < cpus.minimum || plan.cpus > cpus.maximum) {
    throw sizeError('cpus', plan.cpus, cpus, String);
  }
  if (bytes < memory.minimum || bytes > memory.maximum) throw sizeError('memory', bytes, memory, formatSize);
}

function sizeError(
  field: 'cpus' | 'memory',
  asked: number,
  { minimum, maximum }: { readonly minimum: number; readonly maximum: number },
  format: (value: number) => string,
): RosettaVmError {
  return new RosettaVmError('E_SIZE', {
    what: `A virtual machine cannot have ${field}: ${format(asked)} on this Mac.`,
    why: `Virtualization.framework allows ${format(minimum)} to ${format(maximum)}.`,
    fix: `Set ${field} within these bounds, or leave it out.`,
    facts: { field, asked, minimum, maximum },
  });
}

function vzDisk(disk: DiskPlan, report: VzHostReport): VzDisk {
  const { attachment, role, sizeBytes, readOnly, bus } = disk;
  if (sizeBytes % 512 !== 0) {
    throw new RosettaVmError('E_SIZE', {
      what: `The ${role} disk cannot have ${sizeBytes} bytes.`,
      why: 'A disk is made of whole sectors of 512 bytes.',
      fix: 'Set its size to a multiple of 512 bytes.',
      facts: { role, bytes: sizeBytes },
    });
  }
  if (bus === 'nvme') requireMacOS14(report, `The ${role} disk is an NVMe disk`);
  if (attachment.kind === 'file') return { bus, readOnly, attachment: { kind: 'file', path: attachment.path } };
  requireMacOS14(
    report,
    `The ${role} disk is ${attachment.kind === 'nbd' ? 'a network block device' : 'a block device'}`,
  );
  if (attachment.kind === 'block') return { bus, readOnly, attachment: { kind: 'block', path: attachment.path } };
  // `validateURL:error:` checks the form too, but in the framework's words, and `[NSURL URLWithString:]` gives nil.
  parseNbdUrl(attachment.url);
  return { bus, readOnly, attachment: { kind: 'nbd', url: nbdHref(attachment.url), timeout: NBD_TIMEOUT_S } };
}

function requireMacOS14({ macOS }: VzHostReport, what: string): void {
  if (isMacOS14OrLater(macOS)) return;
  throw new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: `${what}, which this Mac cannot give to a machine.`,
    why: `It needs macOS 14; this is macOS ${macOS.major}.${macOS.minor}.`,
    fix: 'Update macOS, or use a disk image on the virtio bus.',
    facts: { macOS: `${macOS.major}.${macOS.minor}.${macOS.patch}` },
  });
}

/** Attached only for the translator that needs it: with it the whole machine runs in TSO mode, slower for arm64 code. */
function rosettaShare({ translator, cache }: MachinePlan, report: VzHostReport): VzConfiguration['rosetta'] {
  if (translator.name !== 'rosetta') return null;
  const path = translator.rosettaSocketPath;
  if (!cache.enabled || path === undefined || !isMacOS14OrLater(report.macOS)) {
    return { tag: translator.tag, caching: null };
  }
  const bytes = Buffer.byteLength(path);
  const limit = report.rosetta.maximumSocketPathBytes;
  if (bytes > limit) {
    throw new RosettaVmError('E_PATH_TOO_LONG', {
      what: `The path of the cache's socket in the guest is too long: ${path}`,
      why: `It has ${bytes} bytes; the framework allows ${limit}.`,
      fix: 'Report this: the path is rosetta-vm’s own.',
      facts: { path, bytes, limit },
    });
  }
  return { tag: translator.tag, caching: { kind: 'unix', path } };
}

function checkTags(tags: readonly string[]): void {
  const seen = new Set<string>();
  for (const tag of tags) {
    const bytes = Buffer.byteLength(tag);
    if (bytes === 0 || bytes > MAX_TAG_BYTES) {
      throw tagError(tag, `It has ${bytes} bytes; a tag has 1 to ${MAX_TAG_BYTES}.`);
    }
    if (seen.has(tag)) throw tagError(tag, 'Another share has it: the guest could mount only one of them.');
    seen.add(tag);
  }
}

function tagError(tag: string, why: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `A share cannot have the tag ${JSON.stringify(tag)}.`,
    why,
    fix: 'Give each share a short tag of its own.',
    facts: { tag },
  });
}

function checkMacAddress(address: string): string {
  if (MAC_ADDRESS.test(address)) return address.toLowerCase();
  throw new RosettaVmError('E_INVALID', {
    what: `${JSON.stringify(address)} is no MAC address.`,
    why: 'It is six bytes of two hexadecimal digits with colons between them.',
    fix: 'Delete the machine with --keep-data and create it again: it is given a new one.',
    facts: { macAddress: address },
  });
}
