import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ADDON_DOMAIN, ADDON_FAILURES, type VzFailure } from '../../../../host/drivers/vz/addon.ts';
import { type FailureContext, vzError } from '../../../../host/drivers/vz/errors.ts';
import {
  addonFailure,
  NOT_ENTITLED,
  posixFailure,
  ROSETTA_NOT_INSTALLED,
  vzFailure,
} from '../../../stand-in/vz-failures.ts';
import { macPlan } from './plans.ts';

const PLAN = macPlan();
const NBD = 'nbd://10.0.0.1/data';
const NBD_PLAN = {
  ...PLAN,
  disks: PLAN.disks.map((disk) => ({ ...disk, attachment: { kind: 'nbd', url: NBD } as const })),
};

const cocoa = (code: number, subject: string): VzFailure => ({
  ...vzFailure(code, 'The file couldn’t be opened.', subject),
  domain: 'NSCocoaErrorDomain',
});
const ofAddon = (code: number, subject = ''): VzFailure => addonFailure(code, 'No.', subject);

test.each<[string, VzFailure, Partial<FailureContext>, object]>([
  [
    'a missing kernel',
    posixFailure(2, 'No such file or directory', 'bootLoader.kernelURL'),
    {},
    { code: 'E_NOT_FOUND', facts: { name: 'ENOENT', path: PLAN.boot.kernel } },
  ],
  [
    'a missing share',
    cocoa(260, 'shares[0]'),
    {},
    { code: 'E_NOT_FOUND', facts: { name: 'NSFileReadNoSuchFileError', path: '/machines/ci/boot' } },
  ],
  [
    'an unwritable disk',
    posixFailure(13, 'Permission denied', 'disks[1]'),
    {},
    {
      code: 'E_STATE',
      what: expect.stringContaining('/machines/ci/data.raw'),
      facts: { name: 'EACCES', path: '/machines/ci/data.raw' },
    },
  ],
  [
    'a read-only volume',
    cocoa(642, 'serialLog'),
    {},
    { code: 'E_STATE', facts: { name: 'NSFileWriteVolumeReadOnlyError' } },
  ],
  [
    'a disk of part of a sector',
    vzFailure(5, 'Invalid disk image.', 'disks[0]'),
    {},
    {
      code: 'E_CORRUPT',
      what: expect.stringContaining('system disk'),
      facts: { name: 'VZErrorInvalidDiskImage', code: 5, role: 'system' },
    },
  ],
  [
    'an NBD address that is malformed',
    vzFailure(2, 'Invalid virtual machine configuration. The host name is invalid.', 'disks[0]'),
    { plan: NBD_PLAN },
    { code: 'E_INVALID', facts: { code: 2, url: NBD } },
  ],
  [
    'an NBD server that is not there',
    vzFailure(20_001, 'Negotiation failed.'),
    { plan: NBD_PLAN, verb: 'start' },
    { code: 'E_NETWORK', facts: { name: 'VZErrorNetworkBlockDeviceNegotiationFailed', url: NBD } },
  ],
  [
    'an NBD server that hangs up',
    vzFailure(2, 'The storage device attachment is invalid.'),
    { plan: NBD_PLAN, verb: 'start' },
    { code: 'E_NETWORK', facts: { code: 2 } },
  ],
  [
    'an NBD server that went',
    vzFailure(20_002, 'Disconnected.', 'disks[1]'),
    { plan: NBD_PLAN, verb: 'start' },
    { code: 'E_NETWORK', facts: { name: 'VZErrorNetworkBlockDeviceDisconnected', role: 'data' } },
  ],
  ['a tag that is too long', vzFailure(2, 'The tag is invalid.', 'shares[0]'), {}, { code: 'E_INVALID' }],
  [
    'an NBD address that NSURL makes nothing of',
    ofAddon(ADDON_FAILURES.invalid, 'disks[1].attachment.url'),
    { plan: NBD_PLAN },
    { code: 'E_INVALID', facts: { name: 'invalid', url: NBD }, fix: expect.stringContaining('nbd://host[:port]') },
  ],
  [
    'an identifier that is none',
    ofAddon(ADDON_FAILURES.invalid, 'machineIdentifier'),
    {},
    { code: 'E_CORRUPT', what: expect.stringContaining('record'), fix: expect.stringContaining('--keep-data') },
  ],
  [
    'no entitlement',
    NOT_ENTITLED,
    {},
    { code: 'E_HOST_UNSUPPORTED', facts: { entitlement: 'com.apple.security.virtualization', code: 2 } },
  ],
  [
    'no Rosetta',
    ROSETTA_NOT_INSTALLED,
    {},
    {
      code: 'E_HOST_MISSING',
      why: expect.stringContaining('Rosetta is not installed'),
      facts: { capability: 'rosetta' },
    },
  ],
  [
    'too many machines',
    vzFailure(6, 'Too many.'),
    { verb: 'start' },
    { code: 'E_STATE', facts: { name: 'VZErrorVirtualMachineLimitExceeded', code: 6 } },
  ],
  [
    'a wrong state',
    vzFailure(3, 'Invalid state.'),
    { verb: 'save' },
    { code: 'E_STATE', facts: { name: 'VZErrorInvalidVirtualMachineState' } },
  ],
  [
    'a wrong transition',
    vzFailure(4, 'Invalid transition.'),
    { verb: 'pause' },
    { code: 'E_STATE', facts: { verb: 'pause' } },
  ],
  [
    'a device that cannot be saved',
    vzFailure(2, 'Invalid virtual machine configuration. Unsupported console device in configuration.'),
    { verb: 'save' },
    { code: 'E_HOST_UNSUPPORTED', facts: { devices: ['console device'] } },
  ],
  [
    'a save that fails',
    vzFailure(11, 'Save failed.'),
    { verb: 'save' },
    { code: 'E_VM_FAILED', facts: { name: 'VZErrorSave' } },
  ],
  [
    'a state of another Mac',
    vzFailure(12, 'Restore failed.', '', 'permission denied'),
    { verb: 'restore' },
    { code: 'E_HOST_UNSUPPORTED', facts: { name: 'VZErrorRestore' } },
  ],
  [
    'a state of another machine',
    vzFailure(12, 'Restore failed.', '', 'invalid argument'),
    { verb: 'restore' },
    { code: 'E_VM_FAILED', why: expect.stringMatching(/same CPUs.*invalid argument/) },
  ],
  ['a full disk, in VZ’s words', vzFailure(8, 'Out of space.'), { verb: 'save' }, { code: 'E_DISK_FULL' }],
  [
    'a full disk, in POSIX’s words',
    posixFailure(28, 'No space left on device'),
    { verb: 'save' },
    { code: 'E_DISK_FULL' },
  ],
  [
    'a number of macOS 27 that nobody has named',
    vzFailure(40_001, 'New.'),
    { verb: 'start' },
    {
      code: 'E_VM_FAILED',
      why: expect.stringContaining('(VZErrorDomain, 40001)'),
      facts: { name: null, code: 40_001 },
    },
  ],
  [
    'an exception',
    { ...vzFailure(0, 'NSInvalidArgumentException'), domain: 'NSException' },
    {},
    { code: 'E_INTERNAL', facts: { domain: 'NSException' } },
  ],
  [
    'an older macOS than the addon’s call',
    ofAddon(ADDON_FAILURES.needsNewerMacOS),
    {},
    { code: 'E_HOST_UNSUPPORTED', facts: { name: 'needsNewerMacOS' } },
  ],
  ['an Intel process', ofAddon(ADDON_FAILURES.needsArm64), {}, { code: 'E_HOST_UNSUPPORTED' }],
  ['a request that the addon does not understand', ofAddon(ADDON_FAILURES.invalid), {}, { code: 'E_INTERNAL' }],
  ['a machine that is gone', ofAddon(ADDON_FAILURES.absent), {}, { code: 'E_STATE' }],
  [
    'more connections than the addon keeps',
    ofAddon(ADDON_FAILURES.tooMany),
    { verb: 'connect' },
    { code: 'E_VM_FAILED', facts: { name: 'tooMany' } },
  ],
])('%s', (_what, failure, context, expected) => {
  const error = vzError(failure, { plan: PLAN, verb: 'configure', ...context });
  expect(JSON.parse(JSON.stringify(error))).toMatchObject(expected);
  expect(error.facts).toMatchObject({ machine: 'ci', domain: failure.domain, code: failure.code });
});

test('whatever the framework says, the error has three parts, its number and its words', () => {
  const failure = fc.record({
    domain: fc.constantFrom('VZErrorDomain', 'NSPOSIXErrorDomain', 'NSCocoaErrorDomain', ADDON_DOMAIN, 'constructor'),
    code: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer()),
    message: fc.string(),
    reason: fc.string(),
    subject: fc.oneof(fc.constantFrom('disks[0]', 'disks[7]', 'shares[9]', 'rosetta', ''), fc.string()),
  });
  const verb = fc.constantFrom('configure', 'start', 'save', 'restore', 'connect', 'stop');
  fc.assert(
    fc.property(failure, verb, fc.constantFrom(PLAN, NBD_PLAN), (failure, verb, plan) => {
      const error = vzError(failure as VzFailure, { plan, verb } as FailureContext);
      expect(error.what).not.toBe('');
      expect(error.fix).not.toBe('');
      expect(error.why).toContain(failure.message);
      expect(error.facts).toMatchObject({ domain: failure.domain, code: failure.code });
    }),
  );
});
