import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vzConfiguration } from '../../../../host/drivers/vz/configuration.ts';
import { explainConfiguration } from '../../../../host/drivers/vz/explain.ts';
import type { DiskPlan, MachinePlan } from '../../../../host/plan/plan.ts';
import { macReport } from '../../../stand-in/vz-reports.ts';
import { macPlan, macSetupPlan } from './plans.ts';

/** The plan with another data disk. */
function withDisk(change: Partial<DiskPlan>, plan = macPlan()): MachinePlan {
  return { ...plan, disks: plan.disks.map((disk) => (disk.role === 'data' ? { ...disk, ...change } : disk)) };
}

/** Reviewed by eye: each file says what Virtualization.framework is asked for. */
test.each<[string, MachinePlan, number]>([
  ['defaults, macOS 13: virtio disks, an initrd, no cache', macPlan({}, 13), 13],
  ['defaults, macOS 14', macPlan({}, 14), 14],
  ['defaults, macOS 15', macPlan({}, 15), 15],
  ['defaults, macOS 26', macPlan({}, 26), 26],
  ['defaults, macOS 27', macPlan({}, 27), 27],
  ['cache off', macPlan({ cache: { enabled: false } }), 15],
  ['box64, so no Rosetta share', macPlan({ translator: 'box64' }), 15],
  ['one CPU, 512 MiB', macPlan({ cpus: 1, memory: '512MiB' }), 15],
  ['ten CPUs, 32 GiB, 200 GiB of disk', macPlan({ cpus: 10, memory: '32GiB', disk: '200GiB' }), 15],
  [
    'two shares, one of them writable',
    macPlan({
      shares: [
        { path: '/Users/me/src', mountPoint: '/src' },
        { path: '/Users/me/out', mountPoint: '/out', readOnly: false },
      ],
    }),
    15,
  ],
  ['a network block device for data', macPlan({ disk: { attachment: 'nbd://10.0.0.1:10809/data' } }), 15],
  [
    'a network block device on a socket',
    macPlan({ disk: { attachment: 'nbd+unix:///data?socket=/tmp/nbd.sock' } }),
    15,
  ],
  ['a block device on the virtio bus', macPlan({ disk: { attachment: '/dev/disk4', bus: 'virtio' } }), 15],
  [
    'a block device for data, read-only',
    withDisk({ attachment: { kind: 'block', path: '/dev/disk4' }, readOnly: true }),
    15,
  ],
  ['a USB disk', withDisk({ bus: 'usb' }), 15],
  ['the setup of a system disk, macOS 13', macSetupPlan(13), 13],
  ['the setup of a system disk, macOS 15', macSetupPlan(), 15],
])('the configuration for %s', async (name, plan, macOS) => {
  const file = `fixtures/${name.replaceAll(/[^A-Za-z0-9]+/g, '-').toLowerCase()}.json`;
  const configuration = vzConfiguration(plan, macReport(macOS, 0));
  await expect(`${JSON.stringify(configuration, null, 2)}\n`).toMatchFileSnapshot(file);
});

describe('what cannot be is refused in the plan’s words', () => {
  const plan = macPlan();
  const shared = plan.shares[0] ?? expect.fail();
  test.each<[string, MachinePlan, number, object]>([
    [
      'more CPUs than the framework allows',
      { ...plan, cpus: 11 },
      15,
      { code: 'E_SIZE', facts: { field: 'cpus', maximum: 10 } },
    ],
    ['no CPU', { ...plan, cpus: 0 }, 15, { code: 'E_SIZE', facts: { field: 'cpus', asked: 0 } }],
    ['more memory', { ...plan, memoryMiB: 33 * 1024 }, 15, { code: 'E_SIZE', facts: { field: 'memory' } }],
    ['less memory', { ...plan, memoryMiB: 1 }, 15, { code: 'E_SIZE', facts: { field: 'memory', minimum: 4 << 20 } }],
    [
      'a disk of half a sector',
      withDisk({ sizeBytes: 1_000_001 }),
      15,
      { code: 'E_SIZE', facts: { bytes: 1_000_001 } },
    ],
    ['a tag of 36 bytes', { ...plan, shares: [{ ...shared, tag: 'x'.repeat(36) }] }, 15, { code: 'E_INVALID' }],
    [
      'a tag of 12 three-byte letters',
      { ...plan, shares: [{ ...shared, tag: '界'.repeat(12) }] },
      15,
      { code: 'E_INVALID' },
    ],
    ['an empty tag', { ...plan, shares: [{ ...shared, tag: '' }] }, 15, { code: 'E_INVALID' }],
    [
      'two shares of one tag',
      { ...plan, shares: [shared, shared] },
      15,
      { code: 'E_INVALID', facts: { tag: shared.tag } },
    ],
    [
      'a share with Rosetta’s tag',
      { ...plan, shares: [{ ...shared, tag: plan.translator.tag }] },
      15,
      { code: 'E_INVALID' },
    ],
    ['an NVMe disk on macOS 13', macPlan({}, 14), 13, { code: 'E_HOST_UNSUPPORTED', facts: { macOS: '13.0.0' } }],
    [
      'a network block device on macOS 13',
      withDisk({ attachment: { kind: 'nbd', url: 'nbd://h/' } }, macPlan({}, 13)),
      13,
      { code: 'E_HOST_UNSUPPORTED' },
    ],
    [
      'a block device on macOS 13',
      withDisk({ attachment: { kind: 'block', path: '/dev/disk4' } }, macPlan({}, 13)),
      13,
      { code: 'E_HOST_UNSUPPORTED' },
    ],
    [
      'a MAC address that is none',
      { ...plan, network: { kind: 'nat', macAddress: '52:54:00:12:34' } },
      15,
      { code: 'E_INVALID', facts: { macAddress: '52:54:00:12:34' } },
    ],
    [
      'a socket path that the framework would refuse',
      { ...plan, translator: { ...plan.translator, rosettaSocketPath: `/${'x'.repeat(107)}` } },
      15,
      { code: 'E_PATH_TOO_LONG', facts: { bytes: 108, limit: 107 } },
    ],
  ])('%s', (_what, bad, macOS, error) => {
    expect(() => vzConfiguration(bad, macReport(macOS, 0))).toThrow(expect.objectContaining(matching(error)));
  });

  test.each([
    '',
    'nonsense',
    'http://host/export',
    'nbd:///export',
    'nbd+unix:///export',
    'nbd+unix:///export?socket=relative',
    'nbd://host:99999/export',
  ])('the address %j of a network block device', (url) => {
    expect(() => vzConfiguration(withDisk({ attachment: { kind: 'nbd', url } }), macReport())).toThrow(
      expect.objectContaining({ code: 'E_INVALID', facts: { url } }),
    );
  });
});

test('every number of CPUs and every size is either within the framework’s limits or refused', () => {
  const report = macReport();
  fc.assert(
    fc.property(fc.integer({ min: -1, max: 64 }), fc.integer({ min: 0, max: 64 * 1024 }), (cpus, memoryMiB) => {
      const within = cpus >= 1 && cpus <= 10 && memoryMiB >= 4 && memoryMiB <= 32 * 1024;
      const make = () => vzConfiguration({ ...macPlan(), cpus, memoryMiB }, report);
      if (within) expect(make()).toMatchObject({ CPUCount: cpus, memorySize: memoryMiB * 1024 * 1024 });
      else expect(make).toThrow(expect.objectContaining({ code: 'E_SIZE' }));
    }),
  );
});

test('the explanation has every value of the configuration, a line for each device', () => {
  const configuration = vzConfiguration(macPlan(), macReport());
  const lines = explainConfiguration(configuration);
  expect(lines.map(([name]) => name)).toEqual([
    'VZVirtualMachineConfiguration',
    'bootLoader',
    'disks[0]',
    'disks[1]',
    'shares[0]',
    'shares[1]',
    'rosetta',
    'network',
  ]);
  expect(lines).toContainEqual([
    'disks[1]',
    'bus=nvme',
    'readOnly=false',
    'attachment.kind=file',
    'attachment.path=/machines/ci/data.raw',
  ]);
  expect(lines[0]).toEqual(expect.arrayContaining(['label=ci', 'CPUCount=4', 'memorySize=8589934592']));
});

/** Nested objects match by what they name. */
function matching(expected: object): object {
  return Object.fromEntries(
    Object.entries(expected).map(([key, value]) => [
      key,
      typeof value === 'object' ? expect.objectContaining(value) : value,
    ]),
  );
}
