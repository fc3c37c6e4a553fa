import { describe, expect, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { type HostFacts, type MachineFacts, makePlan, makeSetupPlan } from '../../../host/plan/make-plan.ts';
import { type MachineSpecInput, parseSpec } from '../../../host/spec/spec.ts';
import { GIB, MIB } from '../../../host/spec/units.ts';

const LINUX: HostFacts = { platform: 'linux', cpus: 8, memoryBytes: 16 * GIB, macOS: null };
const mac = (major: number, minor = 0): HostFacts => ({
  platform: 'darwin',
  cpus: 10,
  memoryBytes: 32 * GIB,
  macOS: { major, minor, patch: 0 },
});
const MAC = mac(26);
const MACHINE: MachineFacts = {
  name: 'ci',
  directory: '/state/machines/ci',
  runtimeDirectory: '/run/rvm/0123abcd',
  cid: 42,
  macAddress: '52:54:00:12:34:56',
  machineIdentifier: 'id',
  dataDiskBytes: 0,
};
const IMAGE = {
  id: '0123456789abcdef',
  directory: '/i',
  kernel: '/i/vmlinuz',
  initialRamdisk: '/i/initrd',
  translators: '/i/translators',
};

const plan = (spec: MachineSpecInput = {}, host = LINUX, machine = MACHINE) =>
  makePlan(parseSpec(spec), host, machine, IMAGE);

test('the same facts give the same plan, and it survives JSON', () => {
  expect(plan()).toEqual(plan());
  expect(JSON.parse(JSON.stringify(plan()))).toEqual(plan());
});

test('a machine boots its NVMe disk without an initrd and finds its data disk behind it', () => {
  const { boot, disks, driver } = plan();
  expect(driver).toBe('qemu');
  expect(boot).toMatchObject({ kernel: '/i/vmlinuz', initialRamdisk: null });
  expect(boot.commandLine.split(' ')).toEqual(expect.arrayContaining(['root=PARTUUID=52564d31-01', 'console=ttyAMA0']));
  expect(disks.map(({ role, bus, guestDevice }) => [role, bus, guestDevice])).toEqual([
    ['system', 'nvme', '/dev/nvme0n1'],
    ['data', 'nvme', '/dev/nvme0n2'],
  ]);
});

describe('defaults follow the host', () => {
  test.each([
    [{ cpus: 1, memoryBytes: 4 * GIB }, 1, 2048],
    [{ cpus: 2, memoryBytes: 12 * GIB }, 2, 3072],
    [{ cpus: 64, memoryBytes: 256 * GIB }, 4, 8192],
  ])('%j gives %d CPUs and %d MiB', (host, cpus, memoryMiB) => {
    expect(plan({}, { ...LINUX, ...host })).toMatchObject({ cpus, memoryMiB });
  });

  test('a Mac gets Rosetta under its own driver, Linux box64 under QEMU', () => {
    expect(plan({}, MAC)).toMatchObject({ driver: 'vz', translator: { name: 'rosetta' } });
    expect(plan({}, LINUX)).toMatchObject({ driver: 'qemu', translator: { name: 'box64' } });
    expect(plan({ translator: 'qemu' }, MAC).translator.name).toBe('qemu');
  });
});

describe('on a Mac', () => {
  test('from macOS 14 on each disk has an NVMe controller, and Rosetta its daemon’s socket under /dev', () => {
    const { boot, disks, translator } = plan({}, mac(14));
    expect(boot.initialRamdisk).toBeNull();
    expect(disks.map(({ bus, guestDevice }) => [bus, guestDevice])).toEqual([
      ['nvme', '/dev/nvme0n1'],
      ['nvme', '/dev/nvme1n1'],
    ]);
    expect(translator).toEqual({
      name: 'rosetta',
      tag: 'rvm-rosetta',
      preserveArgv0: true,
      router: false,
      rosettaSocketPath: '/dev/rvm-rosetta/rosetta.sock',
    });
  });

  test('macOS 13 has virtio disks, which the initrd reaches, no flag P and no cache', () => {
    const { boot, disks, translator } = plan({}, mac(13, 6));
    expect(boot.initialRamdisk).toBe('/i/initrd');
    expect(disks.map(({ bus, guestDevice }) => [bus, guestDevice])).toEqual([
      ['virtio', '/dev/vda'],
      ['virtio', '/dev/vdb'],
    ]);
    expect(translator).toEqual({ name: 'rosetta', tag: 'rvm-rosetta', preserveArgv0: false, router: false });
  });

  test('with the cache off the share is not told of a socket', () => {
    expect(plan({ cache: { enabled: false } }, MAC).translator.rosettaSocketPath).toBeUndefined();
  });

  test('another translator comes from the image’s share', () => {
    expect(plan({ translator: 'box64' }, MAC).translator).toEqual({ name: 'box64', tag: 'rvm-translators' });
  });

  test('the setup machine needs no Rosetta, and its disk is on the same bus', () => {
    const setup = makeSetupPlan(parseSpec({}), mac(13), { directory: '/s', runtimeDirectory: '/run/s', cid: 7 }, IMAGE);
    expect(setup.translator.name).not.toBe('rosetta');
    expect(setup.disks.map(({ bus }) => bus)).toEqual(['virtio']);
  });
});

describe('what the host cannot give', () => {
  test.each([
    ['more CPUs', { cpus: 9 }, 'E_SIZE'],
    ['more memory', { memory: '17GiB' }, 'E_SIZE'],
    ['Rosetta on Linux', { translator: 'rosetta' as const }, 'E_HOST_UNSUPPORTED'],
  ])('%s is refused with three parts', (_, spec, code) => {
    const error = refused(() => plan(spec));
    expect(error.code).toBe(code);
    expect([error.what, error.why, error.fix]).not.toContain('');
  });

  test('a data disk never shrinks, and may stay or grow', () => {
    const existing = { ...MACHINE, dataDiskBytes: 20 * GIB };
    expect(refused(() => plan({ disk: '10GiB' }, LINUX, existing))).toMatchObject({
      code: 'E_SIZE',
      facts: { field: 'disk', asked: 10 * GIB, current: 20 * GIB },
    });
    expect(plan({ disk: '20GiB' }, LINUX, existing).disks[1]?.sizeBytes).toBe(20 * GIB);
    expect(plan({ disk: '30GiB' }, LINUX, existing).disks[1]?.sizeBytes).toBe(30 * GIB);
  });

  test('a socket path that no system takes is refused', () => {
    const deep = { ...MACHINE, runtimeDirectory: `/${'x'.repeat(100)}` };
    expect(refused(() => plan({}, LINUX, deep)).code).toBe('E_PATH_TOO_LONG');
  });
});

describe('the data disk', () => {
  const data = (disk: MachineSpecInput['disk'], host = LINUX, machine = MACHINE) => {
    const { disks, boot } = plan({ disk }, host, machine);
    const [system, one] = disks;
    return { system: system?.guestDevice, ...one, initialRamdisk: boot.initialRamdisk };
  };

  test('goes on the bus that is asked for, and the system’s stays where it is', () => {
    const nvme = { system: '/dev/nvme0n1', initialRamdisk: null };
    expect(data({ bus: 'virtio' })).toMatchObject({ ...nvme, bus: 'virtio', guestDevice: '/dev/vda' });
    expect(data({ bus: 'virtio' }, MAC)).toMatchObject({ ...nvme, bus: 'virtio', guestDevice: '/dev/vda' });
    expect(data({ bus: 'nvme' })).toMatchObject({ ...nvme, bus: 'nvme', guestDevice: '/dev/nvme0n2' });
    expect(data({ bus: 'nvme' }, MAC)).toMatchObject({ ...nvme, bus: 'nvme', guestDevice: '/dev/nvme1n1' });
  });

  test('of macOS 13 is the second virtio disk', () => {
    for (const bus of ['auto', 'virtio'] as const) {
      const expected = { system: '/dev/vda', bus: 'virtio', guestDevice: '/dev/vdb', initialRamdisk: '/i/initrd' };
      expect(data({ bus }, mac(13))).toMatchObject(expected);
    }
  });

  test.each([LINUX, MAC])('is not on USB, which the kernel does not have', (host) => {
    expect(refused(() => plan({ disk: { bus: 'usb' } }, host))).toMatchObject({
      code: 'E_INVALID',
      why: expect.stringContaining('kernel'),
    });
  });

  test('that is the user’s own is attached as it is, and a file that the machine has does not count', () => {
    const before = { ...MACHINE, dataDiskBytes: 20 * GIB };
    const url = 'nbd+unix:///data?socket=/run/nbd.sock';
    expect(data({ attachment: url }, LINUX, before)).toMatchObject({
      ...{ attachment: { kind: 'nbd', url }, bus: 'nvme', sizeBytes: GIB },
    });
    expect(data({ attachment: '/dev/sdb', size: 2, bus: 'virtio' }, LINUX, before)).toMatchObject({
      ...{ attachment: { kind: 'block', path: '/dev/sdb' }, bus: 'virtio', sizeBytes: 2 * GIB },
    });
  });
});

test('an odd disk size is rounded up to whole mebibytes', () => {
  expect(plan({ disk: GIB + 1 }).disks[1]?.sizeBytes).toBe(GIB + MIB);
});

test('shares keep their order, their rights and short tags', () => {
  const shares = Array.from({ length: 16 }, (_, i) => ({
    path: `/p${i}`,
    mountPoint: `/m${i}`,
    readOnly: i % 2 === 0,
  }));
  const own = plan({ shares }).shares.filter(({ mountPoint }) => mountPoint !== null);
  expect(own.map(({ path, mountPoint, readOnly }) => ({ path, mountPoint, readOnly }))).toEqual(shares);
  for (const { tag } of plan({ shares }).shares) expect(Buffer.byteLength(tag)).toBeLessThan(36);
});

test('every share of rosetta-vm itself is read-only', () => {
  for (const share of plan().shares) expect(share).toMatchObject({ readOnly: true, mountPoint: null });
});

test('the setup machine boots the initrd with the image’s id and one empty disk', () => {
  const setup = makeSetupPlan(parseSpec({}), LINUX, { directory: '/tmp/s', runtimeDirectory: '/run/s', cid: 7 }, IMAGE);
  expect(setup.boot.initialRamdisk).toBe('/i/initrd');
  expect(setup.boot.commandLine).toMatch(/rvm\.setup=0123456789abcdef$/);
  expect(setup.disks).toHaveLength(1);
  expect(setup.shares).toEqual([{ tag: 'rvm-image', path: '/i', readOnly: true, mountPoint: null }]);
});

function refused(run: () => unknown): RosettaVmError {
  try {
    run();
  } catch (error) {
    if (error instanceof RosettaVmError) return error;
    throw error;
  }
  throw new Error('the plan was made');
}
