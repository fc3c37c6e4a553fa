/**
 * The stand-in refuses what the addon's sources refuse, with their domain, number and subject. native/check/load.mjs asks
 * a real addon on a Mac for the same; it was not run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ADDON_FAILURES, type VzConfiguration, type VzDisk } from '../../../../host/drivers/vz/addon.ts';
import { vzConfiguration } from '../../../../host/drivers/vz/configuration.ts';
import { thrownFailure } from '../../../../host/drivers/vz/messages.ts';
import { StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import { macReport } from '../../../stand-in/vz-reports.ts';
import { startablePlan } from './machines.ts';

const ADDON = { domain: 'RosettaVm', code: ADDON_FAILURES.invalid };
const POSIX = { domain: 'NSPOSIXErrorDomain' };
const VZ = { domain: 'VZErrorDomain' };
const [ENOENT, ENOTBLK, ENOTDIR, EISDIR, EINVAL] = [2, 15, 20, 21, 22];

const disk = (attachment: VzDisk['attachment'], bus: VzDisk['bus'] = 'virtio') => ({
  disks: [{ bus, readOnly: true, attachment }],
});

test.each<[string, (good: VzConfiguration, folder: string) => object, object]>([
  ['an unknown field', () => ({ colour: 'blue' }), { ...ADDON, subject: 'colour' }],
  ['a missing field', () => ({ label: undefined }), { ...ADDON, subject: 'label' }],
  ['true for a number', () => ({ CPUCount: true }), { ...ADDON, subject: 'CPUCount' }],
  [
    'an unknown field of a disk',
    ({ disks }) => ({ disks: disks.map((one) => ({ ...one, cache: 'none' })) }),
    { ...ADDON, subject: 'disks[0].cache' },
  ],
  [
    'a bus that is none',
    ({ disks }) => ({ disks: disks.map((one) => ({ ...one, bus: 'scsi' })) }),
    { ...ADDON, subject: 'disks[0]' },
  ],
  [
    'a kind of disk that is none',
    ({ disks }) => ({ disks: disks.map((one) => ({ ...one, attachment: { kind: 'tape' } })) }),
    { ...ADDON, subject: 'disks[0]' },
  ],
  [
    'an identifier that is none',
    () => ({ machineIdentifier: 'not base64!' }),
    { ...ADDON, subject: 'machineIdentifier' },
  ],
  [
    'a MAC address that is none',
    () => ({ network: { MACAddress: '52:54' } }),
    { ...ADDON, subject: 'network.MACAddress' },
  ],
  [
    'a relative path',
    ({ bootLoader }) => ({ bootLoader: { ...bootLoader, kernelURL: 'vmlinuz' } }),
    { ...ADDON, subject: 'bootLoader.kernelURL' },
  ],
  [
    'no initrd where one is named',
    ({ bootLoader }, folder) => ({ bootLoader: { ...bootLoader, initialRamdiskURL: `${folder}/absent` } }),
    { ...POSIX, code: ENOENT, subject: 'bootLoader.initialRamdiskURL' },
  ],
  [
    'a folder as a disk',
    (_, folder) => disk({ kind: 'file', path: folder }),
    { ...POSIX, code: EISDIR, subject: 'disks[0]' },
  ],
  [
    'a disk of 1000 bytes',
    (_, folder) => disk({ kind: 'file', path: `${folder}/odd.img` }),
    { ...VZ, code: 5, subject: 'disks[0]' },
  ],
  [
    'a file as a block device',
    (_, folder) => disk({ kind: 'block', path: `${folder}/odd.img` }),
    { ...POSIX, code: ENOTBLK, subject: 'disks[0]' },
  ],
  [
    'an address with a blank',
    () => disk({ kind: 'nbd', url: 'nbd://host/a b', timeout: 5 }),
    { ...ADDON, subject: 'disks[0].attachment.url' },
  ],
  [
    'an address without a host',
    () => disk({ kind: 'nbd', url: 'nbd:///x', timeout: 5 }),
    { ...VZ, code: 2, subject: 'disks[0]' },
  ],
  [
    'a tag of 36 bytes',
    (_, folder) => ({ shares: [{ tag: 'x'.repeat(36), path: folder, readOnly: true }] }),
    { ...VZ, code: 2, subject: 'shares[0]' },
  ],
  [
    'a file as a share',
    (_, folder) => ({ shares: [{ tag: 'x', path: `${folder}/odd.img`, readOnly: true }] }),
    { ...POSIX, code: ENOTDIR, subject: 'shares[0]' },
  ],
  ['a folder as the log', (_, folder) => ({ serialLog: folder }), { ...POSIX, code: EISDIR, subject: 'serialLog' }],
  ['a device as the log', () => ({ serialLog: '/dev/null' }), { ...POSIX, code: EINVAL, subject: 'serialLog' }],
  ['more CPUs than the Mac gives', () => ({ CPUCount: 11 }), { ...VZ, code: 2, subject: '' }],
  ['more memory than the Mac gives', () => ({ memorySize: 2 ** 36 }), { ...VZ, code: 2, subject: '' }],
])('%s', async (_, change, expected) => {
  const plan = await startablePlan();
  const folder = path.join(path.dirname(plan.serialLog), 'more');
  await mkdir(folder);
  await writeFile(path.join(folder, 'odd.img'), Buffer.alloc(1000));
  const addon = new StandInVzAddon();
  onTestFinished(() => addon.remove());
  const good = vzConfiguration(plan, macReport());
  const make = (configuration: object) => {
    try {
      return addon.createMachine(JSON.stringify(configuration));
    } catch (error) {
      return thrownFailure(error);
    }
  };
  expect(make({ ...good, ...change(good, folder) })).toMatchObject(expected);
  expect(make(good)).toMatchObject({ handle: expect.any(Number) });
});
